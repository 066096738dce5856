"""Gradients of weights that are added up over several backwards, in the products themselves.

A product that adds to a matrix takes no longer than one that writes a new one; adding the two
afterwards reads and writes as much again. Weights of memories are large beside a short window.

Legend: R rows, O outputs, I inputs of a matrix; any axes in front.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Gathered:
    """What was added up so far, part by part, for the next gradient to be added to, once.

    Args:
        parts: as the weights are.
        ours: whether it may be written to.
    """

    def __init__(self, parts: tuple[Tensor, ...], *, ours: bool) -> None:
        self.left: list[Tensor | None] = list(parts)
        self._ours = ours

    def product(self, part: int, d_RO: Tensor, a_RI: Tensor) -> Tensor:
        """dᵀa, and what was added up for this part unless that has been asked for: (O, I)."""
        before, self.left[part] = self.left[part], None
        if before is None or d_RO.ndim > 2:
            product = d_RO.mT @ a_RI
            return product if before is None else product.add_(before)
        if self._ours:
            return before.flatten(0, -2).addmm_(d_RO.mT, a_RI)
        return torch.addmm(before.flatten(0, -2), d_RO.mT, a_RI)


def gathering_product(a_RI: Tensor, matrix_OI: Tensor, past: Gathered, part: int) -> Tensor:
    """a Wᵀ, (R, O), whose gradient by W has the past one added to it; differentiable once."""
    answer: Tensor = _Product.apply(a_RI, matrix_OI, past, part)  # type: ignore[no-untyped-call]
    return answer


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, matrix: Tensor, past: Gathered, part: int) -> Tensor:
        ctx.save_for_backward(a, matrix)
        ctx.past, ctx.part = past, part
        return a @ matrix.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        a, matrix = ctx.saved_tensors
        d_a = d @ matrix if ctx.needs_input_grad[0] else None
        return d_a, ctx.past.product(ctx.part, d, a), None, None
