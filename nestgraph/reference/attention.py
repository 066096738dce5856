"""Attention (§7): the memory that keeps every event and compresses none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nestgraph.reference.state import Events
from nestgraph.system import Memory


def append(memory: Memory, state: Events, new: Sequence[tuple[Tensor, Tensor]]) -> Events:
    """The events with this position's keys and values, (batch, heads, width) each, behind them.

    With a `window`, only those of the last so many positions are kept.
    """
    keys, values = (torch.stack(side, 2) for side in zip(*new, strict=True))
    keys, values = torch.cat((state.keys, keys), 2), torch.cat((state.values, values), 2)
    if memory.net.window is None:
        return Events(keys, values)
    latest = memory.net.window * len(new)
    return Events(keys[:, :, -latest:], values[:, :, -latest:])


def attend(events: Events, learned: Mapping[str, Tensor], query: Tensor) -> Tensor:
    """Softmax over ⟨query, key⟩ / √d_k, times the values; 0 where there is no event yet.

    Args:
        events: those that were seen.
        learned: `keys` and `values` of learned entries, (heads, entries, width), which are
            always there; or nothing.
        query: (batch, heads, d_k).
    """
    keys, values = events
    if learned:
        keys = torch.cat((learned["keys"].expand(len(keys), -1, -1, -1), keys), 2)
        values = torch.cat((learned["values"].expand(len(values), -1, -1, -1), values), 2)
    scores = (keys @ query[..., None])[..., 0] / math.sqrt(query.shape[-1])
    return (scores.softmax(-1)[..., None] * values).sum(2)


def forget(state: Events) -> Events:
    """No events: what a reset leaves."""
    return Events(state.keys[:, :, :0], state.values[:, :, :0])
