"""Attention over the events that were kept, some of whose positions may have been skipped.

A cache holds keys, values and which of its events were written. The last stays empty as long as
all of them were, and attention then runs as if there were no such thing. An event that was skipped
keeps its place, because windows count positions; nobody sees it.

Legend: B batch, H heads, T new positions, P past positions, n events a position, S = (P + T)·n,
D key width, E value width.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops.attention import softmax_attention
from nestgraph.ops.attention.banded_attention import Entries, softmax_answer
from nestgraph.ops.attention.softmax_attention import (
    entries_of,
    latest,
    seen_later,
)

Cache: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Keys (B, H, P·n, D), values (B, H, P·n, E), and written (B, P·n), or (B, 0) where all are."""
LARGEST_MASK = 1 << 24  # numbers; more queries are asked piece by piece


def attend_kept(
    q_BHTD: Tensor,
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    past: Cache,
    before: bool = False,
    *,
    window: int | None = None,
    period: int | None = None,
    start: int = 0,
    entries_k: Tensor | None = None,
    entries_v: Tensor | None = None,
    events: int = 1,
    written: Tensor | None = None,
) -> tuple[Tensor, Cache]:
    """Return causal attention over past and present events; see `attention.attend` for the
    arguments.

    With skipped events the scores stand under a mask: 2·(D + E) FLOPs for each pair of a query and
    an event, visible or not.

    Args:
        written: (B, T) whether each position is written; None where all are.

    Returns:
        Answers (B, H, T, E), and what to keep.
    """
    keys, values, known = past
    time = q_BHTD.shape[2]
    marks = _joined(known, keys.shape[2], written, k_BHTD.shape[2], events)
    if marks is None:
        answer, *kept = softmax_attention.attend(
            q_BHTD,
            k_BHTD,
            v_BHTE,
            keys,
            values,
            before,
            window=window,
            period=period,
            start=start,
            entries_k=entries_k,
            entries_v=entries_v,
            events=events,
        )
        return answer, (kept[0], kept[1], known)
    all_keys, all_values = torch.cat((keys, k_BHTD), 2), torch.cat((values, v_BHTE), 2)
    old = keys.shape[2] // events
    moment = torch.arange(-old, time, device=keys.device).repeat_interleave(events)
    query = torch.arange(time, device=keys.device).unsqueeze(1)
    latest = query - 1 if before else query
    within = moment <= latest
    if window is not None:
        within = within & (moment > latest - window)
    if period is not None:
        within = within & ((start + moment) // period == (start + query) // period)
    seen = within & marks.unsqueeze(1)
    answer = _asked(q_BHTD, (all_keys, all_values), seen, entries_of(entries_k, entries_v))
    count = seen_later(window, period, start + time, events)
    return answer, _latest((all_keys, all_values, marks), count)


def recall_kept(
    q_BHTD: Tensor,
    past: Cache,
    *,
    window: int | None = None,
    entries_k: Tensor | None = None,
    entries_v: Tensor | None = None,
    events: int = 1,
) -> Tensor:
    """Return attention over kept events alone; see `attention.recall`."""
    keys, values, known = past
    if known.shape[1] == 0:
        return softmax_attention.recall(
            q_BHTD,
            keys,
            values,
            window=window,
            entries_k=entries_k,
            entries_v=entries_v,
            events=events,
        )
    keys, values, known = _latest(past, None if window is None else window * events)
    seen = known.unsqueeze(1).expand(-1, q_BHTD.shape[2], -1)
    return _asked(q_BHTD, (keys, values), seen, entries_of(entries_k, entries_v))


def remember_kept(
    past: Cache,
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    *,
    window: int | None = None,
    events: int = 1,
    written: Tensor | None = None,
) -> Cache:
    """Append the events of new positions; see `attention.remember`."""
    keys, values, known = past
    marks = _joined(known, keys.shape[2], written, k_BHTD.shape[2], events)
    keys, values = softmax_attention.remember(
        keys, values, k_BHTD, v_BHTE, window=window, events=events
    )
    return keys, values, known if marks is None else _beside(keys, marks)


def forget_kept(past: Cache, position: int, period: int) -> Cache:
    """Return what is left behind `position` positions: nothing at a tick, else all."""
    keys, values, known = past
    keys, values = softmax_attention.forget(keys, values, position, period)
    return keys, values, _beside(keys, known)


def _joined(
    known: Tensor, old: int, written: Tensor | None, new: int, events: int
) -> Tensor | None:
    """Return whether each event was written, (B, old + new); None where all were."""
    if written is None and known.shape[1] == 0:
        return None
    batch = len(known)
    if known.shape[1] == 0:
        known = known.new_ones(batch, old)
    now = known.new_ones(batch, new)
    if written is not None:
        now = written.repeat_interleave(events, 1)
    return torch.cat((known, now), 1)


def _latest(past: Cache, count: int | None) -> Cache:
    """Return the last `count` events, all of them for None."""
    keys, values, known = past
    keys, values = latest((keys, values), count)
    return keys, values, _beside(keys, known)


def _beside(keys: Tensor, known: Tensor) -> Tensor:
    """Return the marks of the events that are left; none where there are none at all."""
    first = known.shape[1] - keys.shape[2]
    return known[:, first:].clone() if first > 0 else known


def _asked(
    q_BHTD: Tensor, events: tuple[Tensor, Tensor], seen_BTS: Tensor, entries: Entries | None
) -> Tensor:
    """Return softmax over what each query sees, and over all entries; 0 where there is nothing."""
    keys, values = events
    if entries is not None:
        keys, values = entries.join(keys, values)
        seen_BTS = F.pad(seen_BTS, (entries.keys.shape[1], 0), value=True)
    # An event of key and value 0 that only those see who see nothing else.
    keys, values = F.pad(keys, (0, 0, 0, 1)), F.pad(values, (0, 0, 0, 1))
    seen_BTS = torch.cat((seen_BTS, ~seen_BTS.any(-1, keepdim=True)), -1)
    size = max(1, LARGEST_MASK // max(1, seen_BTS.shape[0] * seen_BTS.shape[2]))
    pieces = zip(q_BHTD.split(size, 2), seen_BTS.split(size, 1), strict=True)
    answers = [softmax_answer(q, keys, values, seen.unsqueeze(1)) for q, seen in pieces]
    return torch.cat(answers, 2) if len(answers) > 1 else answers[0]
