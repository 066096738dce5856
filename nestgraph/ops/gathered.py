"""Nets whose gradients are taken once, and by weights are added up over several backwards.

A product that adds to a matrix takes no longer than one that writes a new one; adding the two
afterwards reads and writes as much again. Weights of memories are large beside a short window,
and steps between the products many: one node of a graph holds all layers.

Legend: R rows, O outputs, I inputs of a matrix; any axes in front.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.activations import between, between_back


class Gathered:
    """What was added up so far, part by part, for the next gradient to be added to, once.

    Args:
        parts: as the weights are; None where nothing was.
        ours: whether it may be written to.
    """

    def __init__(self, parts: tuple[Tensor | None, ...], *, ours: bool) -> None:
        self.left = list(parts)
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


def gathering_net(
    a_RI: Tensor,
    matrices: tuple[Tensor, ...],
    biases: tuple[Tensor, ...],
    activation: str,
    past: Gathered,
    *,
    gated: bool,
) -> Tensor:
    """W_L s(... W_1 a + b_1 ...) + b_L, (R, O); differentiable once, with the past in it.

    Args:
        a_RI: rows.
        matrices: (O, I) each, input side first.
        biases: (O,) each, or as they broadcast over rows; or none at all.
        activation: name of the function between layers; see `nestgraph.ops.activations`.
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
