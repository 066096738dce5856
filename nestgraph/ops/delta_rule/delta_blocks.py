"""A linear memory by blocks of chunks, with its hand-written backward.

The formulas, their legend and their costs stand with the forward, `delta_blocks_fwd`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.delta_rule.delta_blocks_bwd import Backward
from nestgraph.ops.delta_rule.delta_blocks_fwd import At, Forward, Kept, Paces, Shape


def delta_blocks(
    keys: Tensor,
    values: Tensor,
    first_BHED: Tensor,
    paces: Paces,
    reads: Sequence[tuple[Tensor, At]],
    shape: Shape,
) -> tuple[list[Tensor], Tensor]:
    """Return all answers, and the last state; differentiable once.

    Args:
        keys: (B, H, T, n, D) with T a multiple of C.
        values: (B, H, T, n, E).
        first_BHED: the state before the first position.
        paces: coefficients.
        reads: queries (B, H, T, D), each with whether it is asked `after` or `before` its event.
        shape: the axes that the tensors don't tell apart.

    Returns:
        An answer (B, H, T, E) for each read, whose heads lie side by side, and the state
        (B, H, E, D) behind the last position.
    """
    queries, moments = [q for q, _ in reads], tuple(at for _, at in reads)
    last, *answers = _DeltaBlocks.apply(  # type: ignore[no-untyped-call]
        shape, moments, keys, values, first_BHED, *paces, *queries
    )
    return answers, last


class _DeltaBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        shape: Shape,
        moments: tuple[At, ...],
        keys: Tensor,
        values: Tensor,
        first: Tensor,
        rate: Tensor,
        pull: Tensor | None,
        events: Tensor,
        whole: Tensor | None,
        *queries: Tensor,
    ) -> tuple[Tensor, ...]:
        forward = Forward(shape, moments, keys, values, Paces(rate, pull, events, whole), queries)
        last = forward.run(first)
        ctx.shape, ctx.moments = shape, moments
        ctx.save_for_backward(keys, values, *forward.paces, *forward.kept, *queries)
        return (last, *forward.answers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_last: Tensor, *d_answers: Tensor) -> tuple[Any, ...]:
        keys, values, rate, pull, events, whole, *rest = ctx.saved_tensors
        kept, queries = Kept(*rest[:4]), rest[4:]
        backward = Backward(
            ctx.shape,
            ctx.moments,
            (keys, values, queries),
            Paces(rate, pull, events, whole),
            kept,
            d_answers,
            needs=ctx.needs_input_grad[5:9],
        )
        d_first = backward.run(d_last)
        return (None, None, backward.d_keys, backward.d_values, d_first,
                *backward.d_paces, *backward.d_queries)  # fmt: skip
