"""A memory that decays by channel, by blocks of chunks, with its hand-written backward.

The formulas, their legend and their costs stand with the forward, `key_blocks_fwd`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.delta_rule.delta_blocks_fwd import At, Shape
from nestgraph.ops.diagonal_delta_rule.delta_events import Events
from nestgraph.ops.diagonal_delta_rule.key_blocks_bwd import back
from nestgraph.ops.diagonal_delta_rule.key_blocks_fwd import Flows, Kept, forward


def key_blocks(
    shape: Shape,
    events: Events,
    alpha_BHTD: Tensor,
    first_BHED: Tensor,
    reads: Sequence[tuple[Tensor, At]],
) -> tuple[list[Tensor], Tensor]:
    """Return all answers, and the last state; differentiable once.

    Args:
        shape: B, H and C; T is a multiple of C.
        events: pulls with one rate each, and writes.
        alpha_BHTD: retention, positive and within reach.
        first_BHED: the state before the first position.
        reads: queries (B, H, T, D), each with whether it is asked `after` or `before` its event.

    Returns:
        An answer (B, H, T, E) for each read, whose heads lie side by side, and the state
        (B, H, E, D) behind the last position.
    """
    queries, moments = [q for q, _ in reads], tuple(at for _, at in reads)
    last, *answers = _KeyBlocks.apply(  # type: ignore[no-untyped-call]
        shape, moments, first_BHED, alpha_BHTD, *events, *queries
    )
    return answers, last


class _KeyBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, shape: Shape, moments: tuple[At, ...], first: Tensor, *flows: Tensor
    ) -> tuple[Tensor, ...]:
        parts = Flows.of(shape, moments, flows)
        kept = parts.kept()
        last = torch.empty_like(kept.states[0])
        kept.states[0] = first.reshape(last.shape)
        answers = [shape.like(q[..., :1].expand(*q.shape[:-1], last.shape[1])) for q in flows[7:]]
        targets = [shape.chunks(y) for y in answers]
        for begin in range(0, len(kept.states), parts.block):
            part = slice(begin, min(begin + parts.block, len(kept.states)))
            found = forward(parts, kept, part, last)
            for target, y in zip(targets, found.unbind(2), strict=True):
                target[part] = y.view(target[part].shape)
        # Of the flows behind c the backward asks for no more than their sizes.
        ctx.shape, ctx.moments, ctx.sizes = shape, moments, [x.shape for x in flows[3:]]
        ctx.save_for_backward(*flows[:3], *kept, last)
        return (last.view(first.shape), *answers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_last: Tensor, *d_answers: Tensor) -> tuple[Any, ...]:
        *saved, last = ctx.saved_tensors
        flows, kept = saved[:3], Kept(*saved[3:])
        flows += [last.new_empty(()).expand(size) for size in ctx.sizes]
        parts, needs = Flows.of(ctx.shape, ctx.moments, flows), ctx.needs_input_grad[3:]
        d_first, d_flows = back(parts, kept, last, (d_last, d_answers), needs)
        return (None, None, d_first, *d_flows)
