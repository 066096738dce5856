"""`step_math.step` for memories with momentum and without erase, as one node of the autograd graph.

For a segment within one period that nothing reads on the way; what several periods hold, or one
that is read, is in `multi_chunk.py`. The net is that of `step_math.py`, and `segment_end.py` moves
it.

Legend: B batch, H heads, N = B·H, M members (the outermost axis here), G = M·N, T tokens.
FLOPs a member and token for a net of layers with W weights each: 8LW - 2W forward, twice that
backward. Bytes a segment: each matrix A and S is read and written twice forward, about ten times
backward, which is what short segments of wide memories wait for. Kept for the backward: A, S, and
z and what comes back above it, as in `step_math.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.common.layout import innermost, outermost, rows_of
from nestgraph.ops.fused import step_math
from nestgraph.ops.fused.events import Events
from nestgraph.ops.fused.fused_backward import Below, Through
from nestgraph.ops.fused.gifts import Gift, gift_of, give, is_given
from nestgraph.ops.fused.step_math import Net
from nestgraph.ops.history.decay_matrix import DecayMatrix
from nestgraph.ops.ttt import segment_end
from nestgraph.ops.ttt.memory_config import MemoryConfig, State
from nestgraph.ops.ttt.rank1_grads import Facts
from nestgraph.ops.ttt.segment_end import Left, NewMatrix

Parts = tuple[Tensor, ...]


def can_fuse_momentum(config: MemoryConfig) -> bool:
    """Return whether a step of this form, where momentum is given, has a derivative by hand."""
    return (
        config.momentum
        and config.is_plain_net
        and not config.is_explicit
        and config.objective in ("dot", "l2")
        and not config.retain_first
        and config.erase == "none"
        and not config.implicit
        and config.mirror == "none"
        and config.window == 1
        and config.events == 1
        and not config.per
    )


def fused_momentum_step(
    config: MemoryConfig, state: State, facts: Facts, rate_BHT: Tensor | None, fades: DecayMatrix
) -> tuple[Parts, Parts]:
    """Return the running weights and the momentum after a segment, (B, H, M, out, in) each."""
    keys = facts.keys
    batch, heads, time = keys.shape[:3]
    assert fades.speed_start is not None, "momentum is given"
    assert fades.speed_end is not None, "momentum is given"
    one = keys.new_ones(1)
    starts = (
        one if fades.start is None else fades.start[..., -1, 0].squeeze(2),
        fades.speed_start[..., -1, 0].squeeze(2),
        fades.speed_end[0][..., 0, 0].squeeze(2),
    )
    events = (fades.speed_events[..., -1, :].squeeze(2), fades.speed_end[1][..., 0].squeeze(2))
    rate = keys.new_ones(1) if rate_BHT is None else rate_BHT
    running = () if state.running is state.anchor else state.running
    moved: Parts = _Step.apply(  # type: ignore[no-untyped-call]
        config,
        (gift_of(state.anchor), gift_of(state.momentum)),
        keys,
        facts.values,
        facts.own,
        rate.expand(batch, heads, time),
        torch.stack([x.expand(batch, heads) for x in starts]),
        torch.stack([x.expand(batch, heads, time) for x in events]),
        *state.momentum,
        *state.anchor,
        *running,
    )
    return moved[: config.layers], moved[config.layers :]


def _left(starts_3BH: Tensor, events_2BHT: Tensor, members: int) -> Left:
    """Return those for every member."""
    return Left(
        _spread(starts_3BH.flatten(1), members), _spread(events_2BHT.flatten(1, 2), members)
    )


def _spread(x_KN: Tensor, members: int) -> Tensor:
    """Return (K, N, ...) for every member: (K, G, ..., 1), with the matrices' axes."""
    x = x_KN.unsqueeze(1).expand(-1, members, *x_KN.shape[1:]).flatten(1, 2)
    return x[..., None, None] if x.ndim == 2 else x.unsqueeze(-1)


class _Step(torch.autograd.Function):
    """`starts` holds b, c and q (3, B, H), `ends` D and Q (2, B, H, T); `parts` are S, Θ, A."""

    @staticmethod
    def forward(
        ctx: Any,
        config: MemoryConfig,
        before: tuple[Gift | None, Gift | None],
        keys: Tensor,
        values: Tensor | None,
        own: Tensor | None,
        rate: Tensor,
        starts: Tensor,
        ends: Tensor,
        *parts: Tensor,
    ) -> Parts:
        ctx.config, ctx.shape = config, keys.shape[:2]
        ctx.gift, ctx.before = Gift(private=False), before
        stacks, members = [outermost(part) for part in parts], parts[0].shape[2]
        targets = None if values is None else outermost(values)
        events = _events(config, (keys, targets, own, rate.flatten(0, 1)), stacks, members)
        net, left = step_math.net_of(config, events), _left(starts, ends, members)
        kept = [keys, targets, own, events.rate, starts, ends, net.gradients[-1]]
        ctx.save_for_backward(*kept, *net.outputs, *net.backs, *stacks)
        moved = [_moved(events, net, left, i, stacks[i]) for i in range(config.layers)]
        new = [weight for weight, _ in moved] + [speed for _, speed in moved]
        return tuple(innermost(x, *ctx.shape) for x in new)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_new: Tensor) -> tuple[Tensor | None, ...]:
        config, shape, layers = ctx.config, ctx.shape, ctx.config.layers
        *given, starts, ends, top = ctx.saved_tensors[:7]
        saved = list(ctx.saved_tensors[7:])
        stacks = saved[2 * layers - 1 :]
        members = len(stacks[0]) // starts[0].numel()
        events = _events(config, given, stacks, members)
        backs = saved[layers : 2 * layers - 1]
        net, bents = step_math.renewed(config, events, saved[:layers], backs, top)
        left = _left(starts, ends, members)
        given = ctx.gift.take()
        new = [NewMatrix(outermost(x), ours=is_given(x, given)) for x in d_new]
        pairs = zip(new[:layers], new[layers:], strict=True)
        found = [_back(events, net, left, i, stacks[i], list(pair)) for i, pair in enumerate(pairs)]
        below = [one.below for one in found]
        d_anchors, d_running = [one.weight for one in found], []
        if events.running is not events.anchors:
            d_running, d_anchors = d_anchors, [torch.zeros_like(x) for x in d_anchors]
        d_rows, d_values = Through(config, events, net, bents, below, d_anchors).run()
        d_rows[:, : events.time] += below[0].inputs
        d_rows = d_rows.unflatten(0, shape)
        of_weights, of_speeds = ctx.before
        return (
            None,
            None,
            d_rows[:, :, : events.time],
            None if d_values is None else innermost(d_values, *shape),
            d_rows[:, :, events.time :] if events.values is None else None,
            torch.stack([one.rate for one in found]).sum(0).unflatten(0, shape),
            torch.stack([one.starts for one in found]).sum(0).unflatten(1, shape),
            torch.stack([one.ends for one in found]).sum(0).unflatten(1, shape),
            *give(of_speeds, tuple(innermost(one.speed, *shape) for one in found)),
            *give(of_weights, tuple(innermost(x, *shape) for x in d_anchors)),
            *[innermost(x, *shape) for x in d_running],
        )


class _Back(NamedTuple):
    """Gradients of one layer's last lines."""

    below: Below
    weight: Tensor  # (G, out, in)
    speed: Tensor  # (G, out, in)
    rate: Tensor  # (N, T)
    starts: Tensor  # (3, N)
    ends: Tensor  # (2, N, T)


def _events(
    config: MemoryConfig, given: Sequence[Tensor | None], stacks: list[Tensor], members: int
) -> Events:
    """Return keys, values, own queries and rate (N, T); and S, Θ and, unless it is Θ, A."""
    keys, values, own, rate = given
    assert keys is not None
    assert rate is not None
    anchors, running = stacks[config.layers : 2 * config.layers], stacks[2 * config.layers :]
    return Events(
        anchors=anchors,
        running=running or anchors,
        rows=rows_of(keys, own, members),
        values=values,
        rate=rate,
        erase=None,
        q=rate.new_empty(0),  # retention is in `Left`
    )


def _writes(events: Events, net: Net, layer: int) -> Tensor:
    """Return w, (G, T, out)."""
    return (events.spread(net.gradients[layer]) * events.rate.unsqueeze(-1)).flatten(0, 1)


def _moved(
    events: Events, net: Net, left: Left, layer: int, speed: Tensor
) -> tuple[Tensor, Tensor]:
    """Return A' and S' of one layer."""
    a, parts = net.inputs[layer][:, : events.time], [events.running[layer], speed]
    weight, pace = segment_end.moved(parts, a, _writes(events, net, layer), left)
    return weight, pace


def _back(
    events: Events, net: Net, left: Left, layer: int, speed: Tensor, new: list[NewMatrix]
) -> _Back:
    """Carry gradients back through `_moved`."""
    a, parts = net.inputs[layer][:, : events.time], [events.running[layer], speed]
    found = segment_end.back(parts, a, _writes(events, net, layer), left, new)
    d_writes, d_a = events.spread(found.writes), found.inputs
    d_rate = (d_writes * events.spread(net.gradients[layer])).sum(-1).sum(0)
    below = Below(
        inputs=events.spread(d_a).sum(0) if layer == 0 else d_a,
        gradient=(d_writes * events.rate.unsqueeze(-1)).flatten(0, 1),
        met=None,
    )
    weight, pace = found.parts
    return _Back(
        below=below,
        weight=weight,
        speed=pace,
        rate=d_rate,
        starts=found.starts.view(3, -1, events.groups).sum(1),
        ends=found.ends.view(2, -1, *events.rate.shape).sum(1),
    )
