"""A linear recurrence over the chunks of a sequence: X_{n+1} = X_n M_n + Y_n.

The loop holds one small product a chunk, forward and backward; the gradients of M and Y come
from all chunks at once.

Legend: G groups (batch times heads), N chunks, E rows and D columns of the state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def affine_scan(
    first_GED: Tensor, factors: Tensor, additions_GNED: Tensor
) -> tuple[Tensor, Tensor]:
    """Return states before each chunk, and the last one.

    2·E·D·D FLOPs a chunk and group with matrices, else 2·E·D; twice that and as much again for M
    backward. Keeps the states and M.

    Args:
        first_GED: X_0.
        factors: M, a matrix (G, N, D, D), its diagonal (G, N, D) or a number (G, N) a chunk.
        additions_GNED: Y.

    Returns:
        X_0 .. X_{N-1} as (G, N, E, D); and X_N (G, E, D).
    """
    states, last = _AffineScan.apply(  # type: ignore[no-untyped-call]
        first_GED, factors, additions_GNED
    )
    return states, last


class _AffineScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, first: Tensor, factors: Tensor, additions: Tensor
    ) -> tuple[Tensor, Tensor]:
        states, last = torch.empty_like(additions), torch.empty_like(first)
        states[:, 0] = first
        blocks, steps, sums = states.unbind(1), factors.unbind(1), additions.unbind(1)
        targets = [*blocks[1:], last]
        for source, step, addition, target in zip(blocks, steps, sums, targets, strict=True):
            _advance(source, step, addition, target)
        ctx.save_for_backward(factors, states)
        return states, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor, d_last: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        factors, states = ctx.saved_tensors
        d_after, d_first = torch.empty_like(states), torch.empty_like(d_last)
        d_after[:, -1] = d_last
        back = factors.mT if factors.dim() == 4 else factors
        blocks, steps, sums = d_after.unbind(1), back.unbind(1), d_states.unbind(1)
        targets = [d_first, *blocks[:-1]]
        walk = zip(blocks, steps, sums, targets, strict=True)
        for source, step, addition, target in reversed(list(walk)):
            _advance(source, step, addition, target)
        if factors.dim() == 4:
            return d_first, states.mT @ d_after, d_after
        if factors.dim() == 3:
            return d_first, (states * d_after).sum(-2), d_after
        return d_first, (states * d_after).sum((-1, -2)), d_after


def _advance(source: Tensor, step: Tensor, addition: Tensor, target: Tensor) -> None:
    """Compute target = source · step + addition, for each group."""
    if step.dim() == 3:
        torch.baddbmm(addition, source, step, out=target)
    else:
        torch.addcmul(addition, source, step.view(len(step), 1, -1), out=target)
