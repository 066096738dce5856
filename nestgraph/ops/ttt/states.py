"""States of anchored memories: the first, one without a way back, and what reads see of one.

Legend: B batch, H heads, M stacked memories, J events that a window keeps, D and E widths.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.ops.history.mirrors import mirrored
from nestgraph.ops.ttt.memory_config import MemoryConfig, State, Window


def first_state(
    config: MemoryConfig,
    weights: tuple[Tensor, ...],
    batch: int,
    *,
    rate: int = 0,
    delta: bool = False,
    kept: int | None = None,
) -> State:
    """Return the state before the first event.

    Args:
        config: what the memories are.
        weights: (H, M, out, in) of every layer, then (H, M, out, 1) of every bias.
        batch: rows, which all start alike.
        rate: how many numbers the rate of an event has; 0 for one a head.
        delta: whether `huber` has a flow of them.
        kept: how many numbers a retention has, 0 for one a head; None where none is kept.
    """
    running = tuple(weight.expand(batch, *weight.shape) for weight in weights)
    return fresh(config, running, rate=rate, delta=delta, kept=kept)


def fresh(
    config: MemoryConfig,
    weights: tuple[Tensor, ...],
    *,
    rate: int = 0,
    delta: bool = False,
    kept: int | None = None,
) -> State:
    """Return a state that starts at weights (B, H, M, out, in), with nothing else remembered."""
    like = weights[0]
    batch, heads, members = like.shape[:3]
    width, out = weights[0].shape[-1], weights[config.layers - 1].shape[-2]
    window = None
    if config.window > 1:
        events = config.past
        targets = (1, events, width) if config.self_values else (members, events, out)
        window = Window(
            like.new_zeros(batch, heads, events, width),
            like.new_zeros(batch, heads, *targets),
            like.new_zeros(batch, heads, events, *((rate,) if rate else ())),
            like.new_zeros(batch, heads, events) if delta else None,
        )
    return State(
        weights,
        weights,
        tuple(torch.zeros_like(weight) for weight in weights) if config.momentum else (),
        None if kept is None else like.new_ones(batch, heads, *((kept,) if kept else ())),
        like.new_ones(batch, heads) if config.reduces else None,
        window,
    )


def detached(state: State) -> State:
    """Return the same numbers, without a way back."""
    window = state.window
    if window is not None:
        window = Window(*(None if x is None else x.detach() for x in window))  # type: ignore[arg-type]
    anchor = tuple(x.detach() for x in state.anchor)
    just_ticked = state.running is state.anchor
    return State(
        anchor if just_ticked else tuple(x.detach() for x in state.running),
        anchor,
        tuple(x.detach() for x in state.momentum),
        None if state.kept is None else state.kept.detach(),
        None if state.share is None else state.share.detach(),
        window,
    )


def seen(config: MemoryConfig, state: State) -> tuple[Tensor, ...]:
    """Return θ: the weights before any mirror, as reads behind the last event see them."""
    if not config.reduces and config.gradient == "full":
        return state.running
    return tuple(
        _seen(config, anchor, running, state.share)
        for anchor, running in zip(state.anchor, state.running, strict=True)
    )


def _seen(config: MemoryConfig, anchor: Tensor, running: Tensor, share: Tensor | None) -> Tensor:
    if running is anchor:
        return anchor
    moved = running - anchor
    if config.reduces:
        assert share is not None
        moved = share[:, :, None, None, None] * moved
    return anchor + (moved if config.gradient == "full" else moved.detach())


def weights_before(config: MemoryConfig, state: State) -> tuple[Tensor, ...]:
    """Return what a read `before` the next event asks."""
    return mirrored(config, seen(config, state))


def weights_at_boundary(config: MemoryConfig, state: State) -> tuple[Tensor, ...]:
    """Return what a read at the boundary asks."""
    return mirrored(config, state.anchor)
