"""Memories that learn: one write (§5), one read (§6), one tick (§3).

Everything leads with (batch, heads); coefficients are factors as in `coefficients`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.language.system import At, Memory
from nestgraph.reference import mirror, window
from nestgraph.reference.coefficients import on
from nestgraph.reference.nets import Event, Function, Matrices, forward, gradient
from nestgraph.reference.ops import sum_of
from nestgraph.reference.rule import Lesson, Rates, changed, kept, pushed
from nestgraph.reference.state import Learned


class Position(NamedTuple):
    """What one position gives a memory to learn from.

    Attributes:
        events: this position's own, in the order of the spec.
        rates: all coefficients but η and c.
        share: c of θ = Θ + c (A − Θ), (batch, heads); None where `reduce` is `sum`.
    """

    events: tuple[Event, ...]
    rates: Rates
    share: Tensor | None


def write(memory: Memory, function: Function, state: Learned, now: Position) -> Learned:
    """Return the state behind one position (§5). The anchor stays: only a tick moves it."""
    # With `first_order` and `none`, nothing of a write is differentiated.
    with torch.set_grad_enabled(torch.is_grad_enabled() and memory.gradient == "full"):
        if now.share is not None and memory.gradient != "full":
            now = now._replace(share=now.share.detach())
        return _write(memory, function, state, now)


def surprise(memory: Memory, function: Function, state: Learned, now: Position) -> Tensor:
    """Return the square of the norm of the gradient that this position's events bring, (batch,).

    Of all parts and heads together, at the anchor, before any rate.
    """
    new = _lessons(memory, function, state, now, now.events)
    slopes = [sum_of(parts) for parts in zip(*(one.gradient.slopes for one in new), strict=True)]
    return sum_of(slope.square().flatten(1).sum(1) for slope in slopes)


def _lessons(
    memory: Memory, function: Function, state: Learned, now: Position, events: Sequence[Event]
) -> list[Lesson]:
    """Return events with their gradients, as weights, at Θ̄ if retain_first else Θ."""
    rule = memory.rule
    anchor = _faded(state, now) if rule.retain_first else state.anchor
    at = mirror.weights(rule, anchor)

    def lesson(event: Event) -> Lesson:
        asked = event
        if memory.self_values:
            # Its own answer is the target, read at Θ as a `boundary` read would.
            own = forward(function, mirror.weights(rule, state.anchor), event.value)
            asked = event._replace(value=own.answer)
        return Lesson(event, gradient(function, memory.objective, at, asked))

    return [lesson(event) for event in events]


def _faded(state: Learned, now: Position) -> Matrices:
    """Return Θ̄: what retention since the last tick has left of the anchor."""
    factor, home = _kept(state, now), now.rates.home
    homes = home or (None,) * len(state.anchor)
    return tuple(kept(factor, part, at) for part, at in zip(state.anchor, homes, strict=True))


def _kept(state: Learned, now: Position) -> Tensor:
    """Return Π α since the last tick, with this position's."""
    return now.rates.retain if state.kept is None else state.kept * now.rates.retain


def _write(memory: Memory, function: Function, state: Learned, now: Position) -> Learned:
    rule, rates = memory.rule, now.rates
    past = window.past(memory, state.window, now.events)
    counted = _lessons(memory, function, state, now, [*past, *now.events])
    new = counted[len(past) :]
    running: list[Tensor] = []
    momentum: list[Tensor] = []
    for part, old in enumerate(state.running):
        before = state.momentum[part] if state.momentum else None
        push = pushed(rule, part, before, rates.momentum, counted)
        running.append(changed(memory, part, old, push, rates, new))
        momentum.append(push)
    return Learned(
        running=tuple(running),
        anchor=state.anchor,
        momentum=tuple(momentum) if state.momentum else (),
        window=window.moved(state.window, now.events),
        kept=None if state.kept is None else _kept(state, now),
        share=now.share,
    )


def skipped(memory: Memory, old: Learned, new: Learned, written: Tensor) -> Learned:
    """Return the state behind a position at which only the rows of `written` (batch,) have an
    event.

    In others nothing moves, fades or is erased, momentum included; but the position counts: c is
    its own, and the window moves on by events of rate 0.
    """

    def where(before: Tensor, now: Tensor) -> Tensor:
        return torch.where(written.reshape(-1, *[1] * (now.ndim - 1)), now, before)

    def parts(before: Matrices, now: Matrices) -> Matrices:
        return tuple(where(one, other) for one, other in zip(before, now, strict=True))

    return new._replace(
        running=parts(old.running, new.running),
        momentum=parts(old.momentum, new.momentum),
        window=window.without_rate(memory, new.window, written),
        kept=None if old.kept is None or new.kept is None else where(old.kept, new.kept),
    )


def read(
    memory: Memory,
    function: Function,
    before: Learned,
    after: Learned | None,
    query: Tensor | None,
    at: At,
) -> Tensor:
    """Return the answer (§6) by θ_{t−1}, θ_t or Θ, as (batch, heads, width).

    Without a query, a `linear` memory answers its matrix row by row, (batch, heads, d_v · d_k);
    a `vector` its numbers, which is the same.
    """
    if at == "boundary":
        state = before.anchor
    elif at == "before":
        state = present(memory, before)
    else:
        assert after is not None, "the order puts the write before an `after` read"
        state = present(memory, after)
    return answer(function, mirror.weights(memory.rule, state), query)


def answer(function: Function, weights: Matrices, query: Tensor | None) -> Tensor:
    """Return what a net answers to a query, or without one its only matrix, row by row."""
    if query is None:
        (matrix,) = weights
        return matrix.flatten(-2)
    return forward(function, weights, query).answer


def present(memory: Memory, state: Learned) -> Matrices:
    """Return θ = Θ + c (A − Θ), which is A where c = 1 (§3).

    Where writes aren't differentiated it is Θ + stop(θ − Θ): slower levels see the anchor.
    """
    now = state.running
    if state.share is not None:
        share = state.share[..., None, None]
        moved = ((start, a - start) for start, a in zip(state.anchor, now, strict=True))
        now = tuple(start + on(share, way) for start, way in moved)
    if memory.gradient == "full":
        return now
    pairs = zip(state.anchor, now, strict=True)
    return tuple(start + (theta - start).detach() for start, theta in pairs)


def tick(memory: Memory, state: Learned, position: int) -> Learned:
    """Commit Θ, A ← θ behind the last position of each period; momentum lives on.

    A tick lies between two positions (§3). Done at the end of the first of them, it is in the
    state that leaves the model there.
    """
    period = memory.level.period  # 0: never
    if not period or position % period:
        return state
    now = present(memory, state)
    if memory.gradient == "none":
        now = tuple(theta.detach() for theta in now)
    return state._replace(
        running=now,
        anchor=now,
        kept=None if state.kept is None else torch.ones_like(state.kept),
        share=None if state.share is None else torch.ones_like(state.share),
    )
