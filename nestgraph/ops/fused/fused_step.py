"""`step_math.step` as one node of the autograd graph.

Legend: B batch, H heads, M members, T tokens, D key width, E value width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.common.layout import innermost, outermost, rows_of
from nestgraph.ops.fused import step_math
from nestgraph.ops.fused.events import Events
from nestgraph.ops.fused.fused_backward import backward
from nestgraph.ops.fused.fused_shares import Kept
from nestgraph.ops.fused.gifts import Gift, gift_of, give, is_given
from nestgraph.ops.ttt.memory_config import MemoryConfig, State
from nestgraph.ops.ttt.segment_end import NewMatrix


def can_fuse(config: MemoryConfig) -> bool:
    """Return whether a step of this form has a derivative by hand."""
    return config.is_plain_net and not (
        config.momentum
        or config.retain_first
        or config.is_explicit
        or config.stepped
        or config.objective not in ("dot", "l2")
        or config.mirror != "none"
        or config.window > 1
        or config.events > 1
        or config.per
        or (config.towards_start and config.erase != "none")
    )


def fused_step(
    config: MemoryConfig,
    state: State,
    k_BHTD: Tensor,
    values_BHMTE: Tensor | None,
    self_values_BHTD: Tensor | None,
    rate_BHT: Tensor | None,
    retain_BHT: Tensor | None,
    erase_rate_BHT: Tensor | None,
) -> tuple[Tensor, ...]:
    """Return the running weights (B, H, M, out, in) after a segment; arguments as of
    `ttt_chunk.write`.
    """
    ones = k_BHTD.new_ones(k_BHTD.shape[:3])
    running = () if state.running is state.anchor else state.running
    moved: tuple[Tensor, ...] = _Step.apply(  # type: ignore[no-untyped-call]
        config,
        gift_of(state.anchor),
        k_BHTD,
        values_BHMTE,
        self_values_BHTD,
        ones if rate_BHT is None else rate_BHT,
        ones if retain_BHT is None else retain_BHT,
        erase_rate_BHT,
        *state.anchor,
        *running,
    )
    return moved


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        config: MemoryConfig,
        before: Gift | None,
        keys: Tensor,
        values: Tensor | None,
        own: Tensor | None,
        rate: Tensor,
        retain: Tensor,
        erase: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.config, ctx.shape = config, keys.shape[:2]
        ctx.gift, ctx.before = Gift(private=False), before
        stacks = [outermost(weight) for weight in weights]
        anchors = stacks[: config.layers]
        events = Events(
            anchors=anchors,
            running=stacks[config.layers :] or anchors,
            rows=rows_of(keys, own, weights[0].shape[2]),
            values=None if values is None else outermost(values),
            rate=rate.flatten(0, 1),
            erase=None if erase is None else erase.flatten(0, 1),
            q=step_math.retentions(retain.flatten(0, 1), signed=config.signed),
        )
        moved, net, kept = step_math.step(config, events)
        given = keys, own, events.values, events.rate, events.erase, events.q, net.gradients[-1]
        ctx.save_for_backward(*given, *kept, *net.outputs, *net.backs, *stacks)
        return tuple(innermost(x, *ctx.shape) for x in moved)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_moved: Tensor) -> tuple[Tensor | None, ...]:
        events, (net, bents), kept = _unpacked(ctx.config, list(ctx.saved_tensors))
        given = ctx.gift.take()
        new = [NewMatrix(outermost(x), ours=is_given(x, given)) for x in d_moved]
        found = backward(ctx.config, events, net, bents, kept, new)
        shape, time = ctx.shape, events.time

        def unflat(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.view(*shape, *x.shape[1:])

        anchors = give(ctx.before, tuple(innermost(x, *shape) for x in found.anchors))
        return (
            None,
            None,
            unflat(found.rows[:, :time]),
            None if found.values is None else innermost(found.values, *shape),
            unflat(found.rows[:, time:]) if events.values is None else None,
            unflat(found.rate),
            unflat(found.retain),
            unflat(found.erase),
            *anchors,
            *[innermost(x, *shape) for x in found.running or ()],
        )


def _unpacked(
    config: MemoryConfig, saved: list[Any]
) -> tuple[Events, tuple[step_math.Net, list[step_math.ActivationGrads]], Kept]:
    """Return the events, the net and the shares, from what `forward` saved."""

    def take(count: int) -> list[Any]:
        taken, saved[:count] = saved[:count], []
        return taken

    keys, own, values, rate, erase, q, top = take(7)
    kept = Kept(*take(3))
    outputs, backs, anchors = take(config.layers), take(config.layers - 1), take(config.layers)
    rows = rows_of(keys, own, len(anchors[0]) // len(rate))
    events = Events(anchors, saved or anchors, rows, values, rate, erase, q)
    return events, step_math.renewed(config, events, outputs, backs, top), kept
