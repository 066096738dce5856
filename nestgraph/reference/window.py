"""The events that an objective still counts: those of the last `window` positions (§5).

This position's own come from outside; here stand those of the window − 1 positions before it,
oldest first. Blank events with rate 0 fill the window at the start and after a reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.analysis.parameters import head_widths
from nestgraph.language.system import Memory
from nestgraph.reference import coefficients
from nestgraph.reference.nets import Event


class Window(NamedTuple):
    """Past events of a memory, each part (batch, heads, events, …).

    Attributes:
        keys: with d_k channels.
        values: with d_v channels, or d_k where the memory is asked for its own values.
        rates: the η that each came with: 1, d_v, d_k or d_v · d_k numbers, as its `per` says.
        deltas: the δ that each came with, one number; only where δ is a flow.
    """

    keys: Tensor
    values: Tensor
    rates: Tensor
    deltas: Tensor | None


def blank(memory: Memory, batch: int, like: Tensor) -> Window | None:
    """Return a window without events; None where an objective counts only this position's."""
    count = (memory.objective.window - 1) * len(memory.values)
    if not count:
        return None
    lead = (batch, memory.heads, count)
    d_k, d_v = key_width(memory), head_widths(memory)[1]
    rows, columns = coefficients.shape(memory, memory.rule.rate)
    return Window(
        keys=like.new_zeros(*lead, d_k),
        values=like.new_zeros(*lead, d_k if memory.self_values else d_v),
        rates=like.new_zeros(*lead, rows * columns),
        deltas=like.new_zeros(lead) if keeps_deltas(memory) else None,
    )


def key_width(memory: Memory) -> int:
    """Return d_k; the key of a vector is the number 1."""
    return 1 if memory.net.kind == "vector" else head_widths(memory)[0]


def keeps_deltas(memory: Memory) -> bool:
    """Return whether δ differs from event to event."""
    delta = memory.objective.delta
    return delta is not None and delta.flow is not None


def past(memory: Memory, window: Window | None, events: Sequence[Event]) -> list[Event]:
    """Return the events in the window; a δ that is a number is that of any of this position's."""
    if window is None:
        return []
    count = window.keys.shape[2]
    return [
        Event(
            key=window.keys[:, :, i],
            value=window.values[:, :, i],
            rate=coefficients.spread(memory, memory.rule.rate, window.rates[:, :, i]),
            delta=events[0].delta if window.deltas is None else window.deltas[:, :, i],
        )
        for i in range(count)
    ]


def moved(window: Window | None, events: Sequence[Event]) -> Window | None:
    """Return the window with this position's events, less the oldest position's."""
    if window is None:
        return None
    for event in events:
        window = _with(window, event)
    return window


def without_rate(memory: Memory, window: Window | None, written: Tensor) -> Window | None:
    """Return the window whose latest position had events only in the rows of `written` (batch,)."""
    if window is None:
        return None
    count = len(memory.values)
    before, latest = window.rates[:, :, :-count], window.rates[:, :, -count:]
    return window._replace(rates=torch.cat((before, latest * written[:, None, None, None]), 2))


def _with(window: Window, event: Event) -> Window:
    deltas = window.deltas
    if deltas is not None:
        assert event.delta is not None
        deltas = torch.cat((deltas[:, :, 1:], event.delta.expand_as(deltas[:, :, 0])[..., None]), 2)
    rate = event.rate.flatten(-2)
    return Window(
        keys=_shifted(window.keys, event.key),
        values=_shifted(window.values, event.value),
        rates=_shifted(window.rates, rate.expand_as(window.rates[:, :, 0])),
        deltas=deltas,
    )


def _shifted(kept: Tensor, new: Tensor) -> Tensor:
    return torch.cat((kept[:, :, 1:], new[:, :, None]), 2)
