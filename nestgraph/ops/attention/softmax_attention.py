"""Softmax attention over events that were kept, with its cache of keys and values.

What a query sees of the past may end at a window of the latest positions and at the last tick of
a period; learned entries are seen by all. Ticks stand at absolute positions, so that a sequence
split anywhere gives the same numbers. A cache holds what later queries can still see.

Legend: B batch, H heads, T new positions, P past positions, n events a position, D key width,
E value width, L positions of a period, N whole periods, I learned entries.
Events of one position lie side by side: (B, H, T·n, D).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nestgraph.ops.attention.banded_attention import Entries, softmax_answer, spans


def attend(
    q_BHTD: Tensor,
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    past_k_BHPD: Tensor,
    past_v_BHPE: Tensor,
    before: bool = False,
    *,
    window: int | None = None,
    period: int | None = None,
    start: int = 0,
    entries_k: Tensor | None = None,
    entries_v: Tensor | None = None,
    events: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return causal softmax(q·k / sqrt(D)) over past and present events.

    Costs 2·(D + E) FLOPs for each pair of query and visible event, and up to twice that with a
    window. With a window or a period, cost and memory are linear in T.

    Args:
        q_BHTD: queries, one a position.
        k_BHTD: keys of the new events, (B, H, T·n, D).
        v_BHTE: values of the new events, (B, H, T·n, E).
        past_k_BHPD: keys kept from before; P may be 0.
        past_v_BHPE: values kept from before.
        before: a query doesn't see its own position's events; with nothing to see it answers 0.
        window: latest positions that are seen; with `before` they end before the query's own.
        period: behind every `period` positions all events are forgotten.
        start: positions before this piece; only ticks need it.
        entries_k: keys (H, I, D) that are always seen, whatever window and period say.
        entries_v: their values (H, I, E).
        events: n.

    Returns:
        Answers (B, H, T, E); then the keys and values to keep, of at most `window` positions
        since the last tick.
    """
    entries = entries_of(entries_k, entries_v)
    time, hidden = q_BHTD.shape[2], 0 if before else events
    reach = None if window is None else window * events
    into = 0 if period is None else start % period
    assert into or period is None or past_k_BHPD.shape[2] == 0, "a tick has forgotten these events"
    first = time if period is None else min(time, -into % period)
    joined = _join((past_k_BHPD, past_v_BHPE), _cut((k_BHTD, v_BHTE), 0, first * events))
    see = partial(spans, entries=entries, step=events, reach=reach)
    answer = see(q_BHTD[:, :, :first], *joined, seen=past_k_BHPD.shape[2] + hidden)
    count = seen_later(window, period, start + time, events)
    if first == time or period is None:
        return answer, *latest(joined, count)
    piece = q_BHTD[:, :, first:], *_cut((k_BHTD, v_BHTE), first * events, None)
    later = _by_period(partial(see, seen=hidden), *piece, period, events)
    parts = (answer, *later) if first else later
    return torch.cat(parts, 2), *latest((k_BHTD, v_BHTE), count)


def _by_period(
    see: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, period: int, events: int
) -> tuple[Tensor, ...]:
    """Return answers from a tick on: whole periods as rows of one batch, then the rest."""
    batch, _, time, _ = q.shape
    whole = time // period * period
    rest = q[:, :, whole:], *_cut((k, v), whole * events, None)
    if whole == 0:
        return (see(*rest),)
    pieces = q[:, :, :whole], *_cut((k, v), 0, whole * events)
    answers = _unfold(see(*(_fold(x, whole // period) for x in pieces)), batch)
    return (answers,) if whole == time else (answers, see(*rest))


def recall(
    q_BHTD: Tensor,
    keys_BHPD: Tensor,
    values_BHPE: Tensor,
    *,
    window: int | None = None,
    entries_k: Tensor | None = None,
    entries_v: Tensor | None = None,
    events: int = 1,
) -> Tensor:
    """Return softmax attention over kept events alone, all of them visible; 0 while there are none.

    Args:
        q_BHTD: queries.
        keys_BHPD: keys of the events.
        values_BHPE: their values.
        window: only the latest positions are seen.
        entries_k: keys (H, I, D) that are always seen.
        entries_v: their values (H, I, E).
        events: events a position.

    Returns:
        (B, H, T, E).
    """
    seen = latest((keys_BHPD, values_BHPE), None if window is None else window * events)
    entries = entries_of(entries_k, entries_v)
    if entries is not None:
        seen = entries.join(*seen)
    if seen[0].shape[2] == 0:
        return values_BHPE.new_zeros(*q_BHTD.shape[:3], values_BHPE.shape[-1])
    return softmax_answer(q_BHTD, *seen)


def remember(
    past_k_BHPD: Tensor,
    past_v_BHPE: Tensor,
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    *,
    window: int | None = None,
    events: int = 1,
) -> tuple[Tensor, Tensor]:
    """Append the events of new positions: what `recall` sees `after` them.

    Args:
        past_k_BHPD: keys kept from before.
        past_v_BHPE: values kept from before.
        k_BHTD: keys of the new events, (B, H, T·n, D).
        v_BHTE: values of the new events.
        window: only the latest positions are kept.
        events: n.

    Returns:
        Keys and values.
    """
    joined = _join((past_k_BHPD, past_v_BHPE), (k_BHTD, v_BHTE))
    return latest(joined, None if window is None else window * events)


def forget(
    keys_BHPD: Tensor, values_BHPE: Tensor, position: int, period: int
) -> tuple[Tensor, Tensor]:
    """Return the events that are left behind `position` positions: none at a tick, else all."""
    return latest((keys_BHPD, values_BHPE), None if position % period else 0)


def entries_of(keys: Tensor | None, values: Tensor | None) -> Entries | None:
    """Return learned events from their keys and values; None without any."""
    if keys is None or values is None:
        assert keys is values, "entries need keys and values"
        return None
    return Entries(keys, values)


def seen_later(window: int | None, period: int | None, position: int, events: int) -> int | None:
    """Return how many events later queries may still see; None for all."""
    limits = [limit for limit in (window, period and position % period) if limit is not None]
    return min(limits) * events if limits else None


def _cut(pair: tuple[Tensor, Tensor], first: int, last: int | None) -> tuple[Tensor, Tensor]:
    return pair[0][:, :, first:last], pair[1][:, :, first:last]


def _join(past: tuple[Tensor, Tensor], now: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    if past[0].shape[2] == 0:
        return now
    return torch.cat((past[0], now[0]), 2), torch.cat((past[1], now[1]), 2)


def latest(pair: tuple[Tensor, Tensor], count: int | None) -> tuple[Tensor, Tensor]:
    """Return the last `count` events, as tensors of their own: a view would hold on to all
    others.
    """
    events = pair[0].shape[2]
    if count is None or count >= events:
        return pair
    keys, values = _cut(pair, events - count, None)
    return keys.clone(), values.clone()


def _fold(x_BHTD: Tensor, count: int) -> Tensor:
    """Return whole periods as rows of a batch, (B·N, H, L, D)."""
    batch, heads, time = x_BHTD.shape[:3]
    split = x_BHTD.reshape(batch, heads, count, time // count, -1)
    return split.transpose(1, 2).flatten(0, 1)


def _unfold(y_BHLE: Tensor, batch: int) -> Tensor:
    """Return (B·N, H, L, E) to (B, H, T, E)."""
    split = y_BHLE.view(batch, -1, *y_BHLE.shape[1:])
    return split.transpose(1, 2).flatten(2, 3)
