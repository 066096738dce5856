"""Attention (§7): the memory that keeps every event and compresses none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nestgraph.language.system import Memory
from nestgraph.reference.state import Events


def append(
    memory: Memory,
    state: Events,
    new: Sequence[tuple[Tensor, Tensor]],
    written: Tensor | None = None,
) -> Events:
    """Return the events with this position's keys and values, (batch, heads, width) each, behind
    them.

    With a `window`, only those of the last so many positions are kept. Where `written` (batch,) is
    false, they keep their place and are never seen.
    """
    keys, values = (torch.stack(side, 2) for side in zip(*new, strict=True))
    keys, values = torch.cat((state.keys, keys), 2), torch.cat((state.values, values), 2)
    marks = _marks(state, written, len(new))
    if memory.net.window is None:
        return Events(keys, values, marks)
    latest = memory.net.window * len(new)
    return Events(keys[:, :, -latest:], values[:, :, -latest:], marks[:, -latest:])


def _marks(state: Events, written: Tensor | None, new: int) -> Tensor:
    """Return which events are written, with so many new ones; none are marked while all are."""
    before = state.written
    if written is None and not before.shape[1]:
        return before
    if not before.shape[1]:
        before = before.new_ones(len(before), state.keys.shape[2])
    now = before.new_ones(len(before)) if written is None else written
    return torch.cat((before, now[:, None].expand(-1, new)), 1)


def attend(events: Events, learned: Mapping[str, Tensor], query: Tensor) -> Tensor:
    """Return softmax over ⟨query, key⟩ / √d_k, times the values; 0 where there is no event yet.

    Args:
        events: those that were seen.
        learned: `keys` and `values` of learned entries, (heads, entries, width), which are
            always there; or nothing.
        query: (batch, heads, d_k).
    """
    keys, values, marks = events
    if not marks.shape[1]:
        marks = marks.new_ones(len(marks), keys.shape[2])
    if learned:
        entries = learned["keys"].shape[1]
        marks = torch.cat((marks.new_ones(len(marks), entries), marks), 1)
        keys = torch.cat((learned["keys"].expand(len(keys), -1, -1, -1), keys), 2)
        values = torch.cat((learned["values"].expand(len(values), -1, -1, -1), values), 2)
    scores = (keys @ query[..., None])[..., 0] / math.sqrt(query.shape[-1])
    hidden = ~marks[:, None]
    # Where all are hidden no share is a number; such rows answer 0.
    shares = scores.masked_fill(hidden & ~hidden.all(-1, keepdim=True), -math.inf).softmax(-1)
    return (shares.masked_fill(hidden, 0)[..., None] * values).sum(2)


def forget(state: Events) -> Events:
    """Return no events: what a reset leaves."""
    return Events(state.keys[:, :, :0], state.values[:, :, :0], state.written[:, :0])
