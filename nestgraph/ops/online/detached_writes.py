"""Gradients of a linear memory whose writes are constants for whatever learns more slowly.

A memory reads and commits θ_t = Θ + stop(θ_t - Θ): the displacement that its writes have made is
a constant, and the first state is trained through the identity. The answer to q keeps its value,
and its gradient reaches q through the whole matrix and the first state as if nothing had been
written: y = stop(A_t) q + (A_0 - stop(A_0)) stop(q). Where commits are constants too, that ends
behind the first of them.

Legend: B batch, H heads, T time, D key width, E value width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def displaced(
    answers: Sequence[Tensor],
    last_BHED: Tensor,
    first_BHED: Tensor,
    queries: Sequence[Tensor],
    *,
    time: int,
    until: int | None = None,
) -> tuple[list[Tensor], Tensor]:
    """Let gradients pass from answers and last state to the first state; values stay.

    Nothing is computed forward; 2·D·E FLOPs a query backward.

    Args:
        answers: (B, H, T, E) a read, worked out with everything but the query detached.
        last_BHED: the last state, detached.
        first_BHED: the first state, not detached.
        queries: (B, H, T, D) a read.
        time: positions of this piece.
        until: positions of this piece up to and with the first commit that cuts; None if none
            ever does. Reads at later positions, and a last state behind it, learn nothing.

    Returns:
        The answers and the last state.
    """
    passing = [
        _Displaced.apply(y_BHTE, first_BHED, q_BHTD, until)  # type: ignore[no-untyped-call]
        for y_BHTE, q_BHTD in zip(answers, queries, strict=True)
    ]
    if until is not None and until <= time:
        return passing, last_BHED
    return passing, last_BHED + (first_BHED - first_BHED.detach())


class _Displaced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, first: Tensor, q: Tensor, until: int | None) -> Tensor:
        ctx.until = until
        ctx.save_for_backward(q)
        return y.view_as(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (q,) = ctx.saved_tensors
        return grad, grad[:, :, : ctx.until].mT @ q[:, :, : ctx.until], None, None
