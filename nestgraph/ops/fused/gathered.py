"""Nets whose gradients are taken once, and by weights are added up over several backwards.

A product that adds to a matrix takes no longer than one that writes a new one; adding the two
afterwards reads and writes as much again. Weights of memories are large beside a short window,
and steps between the products many: one node of a graph holds all layers. Where the next move is
a multiple of the gradient, that is left as products for the move to take.

Legend: R rows, O outputs, I inputs of a matrix; any axes in front.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.common.activations import between, between_back


class Products:
    """The gradient of one matrix, Σ dᵀa, whose products nobody has taken yet.

    Args:
        ours: whether the matrix may be written to.
    """

    def __init__(self, *, ours: bool) -> None:
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._ours = ours

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def note(self, d_RO: Tensor, a_RI: Tensor) -> None:
        """Add another product."""
        self._pairs.append((d_RO.detach(), a_RI.detach()))

    def added_to(self, weight: Tensor, scale: float) -> Tensor:
        """Return the matrix, (..., O, I), and `scale` times its gradient."""
        moved_OI, ours = weight.detach().flatten(0, -2), self._ours
        for d_RO, a_RI in self._pairs:
            add = moved_OI.addmm_ if ours else moved_OI.addmm
            moved_OI, ours = add(d_RO.mT, a_RI, alpha=scale), True
        return moved_OI.view_as(weight)

    def square(self) -> Tensor:
        """Return the sum of all squares of the gradient."""
        d_RO, a_RI = (torch.cat(rows) for rows in zip(*self._pairs, strict=True))
        length: Tensor = torch.linalg.vector_norm(d_RO.mT @ a_RI)
        return length.square()


Slope: TypeAlias = Tensor | Products


class Gathered:
    """What was added up so far, part by part, for the next gradient to be added to, once.

    Args:
        parts: as the weights are; None where nothing was.
        ours: whether it, and the weights, may be written to.
        apart: whether products of the next gradient are left to the move that takes it.

    Attributes:
        left: what no product was added to.
        products: those that are left to a move; none where another took its gradient as usual.
    """

    def __init__(
        self, parts: tuple[Tensor | None, ...], *, ours: bool, apart: bool = False
    ) -> None:
        self.left = list(parts)
        self.products = [Products(ours=ours) for _ in parts]
        self._ours, self._apart = ours, apart

    def product(self, part: int, d_RO: Tensor, a_RI: Tensor) -> Tensor | None:
        """Return dᵀa, and what was added up for this part unless that has been asked for: (O,
        I).
        """
        if self._apart and d_RO.ndim == 2:
            self.products[part].note(d_RO, a_RI)
            return None
        before, self.left[part] = self.left[part], None
        if before is None or d_RO.ndim > 2:
            product = d_RO.mT @ a_RI
            return product if before is None else product.add_(before)
        if self._ours:
            return before.flatten(0, -2).addmm_(d_RO.mT, a_RI)
        return torch.addmm(before.flatten(0, -2), d_RO.mT, a_RI)


def gathering_net(
    a_RI: Tensor,
    matrices: tuple[Tensor, ...],
    biases: tuple[Tensor, ...],
    activation: str,
    past: Gathered,
    *,
    gated: bool,
) -> Tensor:
    """Return W_L s(... W_1 a + b_1 ...) + b_L, (R, O); differentiable once, with the past in it.

    Args:
        a_RI: rows.
        matrices: (O, I) each, input side first.
        biases: (O,) each, or as they broadcast over rows; or none at all.
        activation: name of the function between layers; see `nestgraph.ops.common.activations`.
        past: what the gradients of matrices are added to, in the order of the layers.
        gated: whether a layer's upper rows gate its lower ones; `activations.between`.
    """
    how = activation, gated, past, len(matrices)
    answer: Tensor = _Net.apply(a_RI, how, *matrices, *biases)  # type: ignore[no-untyped-call]
    return answer


class _Net(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, how: tuple[str, bool, Gathered, int], *parts: Tensor
    ) -> Tensor:
        activation, gated, _, layers = ctx.how = how
        function, biases = between(activation, gated=gated), parts[layers:]
        inputs, sums = [a], []
        for layer in range(layers):
            z = inputs[-1] @ parts[layer].mT
            sums.append(z.add_(biases[layer]) if biases else z)
            if layer < layers - 1:
                inputs.append(function(z))
        ctx.save_for_backward(*parts, *inputs, *sums[:-1])
        return sums[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        activation, gated, past, layers = ctx.how
        count = len(ctx.saved_tensors) - 2 * layers + 1
        parts, rest = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        inputs, sums = rest[:layers], rest[layers:]
        back, biases = between_back(activation, gated=gated), parts[layers:]
        by_part: list[Tensor | None] = [None] * len(parts)
        for layer in reversed(range(layers)):
            by_part[layer] = past.product(layer, d, inputs[layer])
            if biases:
                by_part[layers + layer] = d.sum_to_size(biases[layer].shape)
            if layer or ctx.needs_input_grad[0]:
                d = d @ parts[layer]
            if layer:
                d = back(d, sums[layer - 1], inputs[layer])
        return d if ctx.needs_input_grad[0] else None, None, *by_part
