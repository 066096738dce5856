"""Attention (§7): the memory that keeps every event and compresses none."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nestgraph.reference.state import Events


def append(state: Events, key: Tensor, value: Tensor) -> Events:
    """The events with one more, (batch, heads, width) each."""
    keys = torch.cat((state.keys, key[:, :, None]), 2)
    return Events(keys, torch.cat((state.values, value[:, :, None]), 2))


def attend(events: Events, query: Tensor) -> Tensor:
    """Softmax over ⟨query, key⟩ / √d_k, times the values; 0 where there is no event yet."""
    scores = (events.keys @ query[..., None])[..., 0] / math.sqrt(query.shape[-1])
    return (scores.softmax(-1)[..., None] * events.values).sum(2)
