"""Online memories: `task` memories on token clocks, which learn from the model's loss as it reads.

When they move, and how far their gradients look back. A tick at position t lies between t and
t + 1: it needs the loss of t, whose label is token t + 1, and so fires when that token arrives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

from nestgraph.language.system import Memory, Model


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """When one online memory moves and restarts, in tokens; 0 is never."""

    period: int
    reset: int
    gradient: Literal["full", "first_order", "none"]

    @classmethod
    def of(cls, memory: Memory) -> Self:
        """Return the pace that a memory declares."""
        return cls(period=memory.level.period, reset=memory.reset.period, gradient=memory.gradient)

    def is_fresh(self, position: int) -> bool:
        """Return whether it has just started, when `position` is a tick."""
        return _latest(self.reset, position) == position

    def follows(self, source: Pace, position: int) -> bool:
        """Return whether it still hangs on the memory that it started as, when `position` is a
        tick.

        Its gradient then reaches that memory through the start: unless that one has moved since,
        or `gradient: none` has cut its own move since.
        """
        started = _latest(self.reset, position)
        moved = self.gradient == "none" and _latest(self.period, position) > started
        return _latest(source.period, position) <= started and not moved


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticks:
    """Everything that happens between two positions of a model.

    Attributes:
        levels: periods of the levels that online memories move on, the fastest first.
        every: those, the periods of resets and the horizon.
        horizon: tokens from cut to cut of the gradients through carried states; 0 is never.
    """

    levels: tuple[int, ...]
    every: tuple[int, ...]
    horizon: int

    @classmethod
    def of(cls, paces: Iterable[Pace], horizon: int | None) -> Self:
        """Return the ticks of some online memories.

        Args:
            paces: theirs.
            horizon: as the model says; None where it says nothing. Then, if every memory that
                moves says `gradient: none`, it is the fastest level, where the others are
                multiples of it: nothing is differentiated across a tick.
        """
        known = list(paces)
        levels = tuple(sorted({pace.period for pace in known} - {0}))
        if horizon is None:
            plain = levels and all(pace.gradient == "none" for pace in known if pace.period)
            nested = plain and not any(period % levels[0] for period in levels)
            horizon = levels[0] if nested else 0
        every = {*levels, *(pace.reset for pace in known), horizon} - {0}
        return cls(levels=levels, every=tuple(sorted(every)), horizon=horizon)

    def due(self, position: int) -> bool:
        """Return whether anything happens behind a position."""
        return position > 0 and any(position % period == 0 for period in self.every)

    def fires(self, read: int, more: int) -> bool:
        """Return whether something happens while `more` tokens are read behind the first `read`."""
        last, before = read + more - 1, max(read - 1, 0)
        return more > 0 and any(last // period > before // period for period in self.every)

    def base(self, read: int) -> int:
        """Return where all that a coming gradient needs begins, after so many tokens.

        The last cut of the horizon; without one, the last tick of all levels at once, so that no
        period that ends later began before. A tick has fired when the next token was read.
        """
        period = self.horizon or math.lcm(*(self.levels or self.every))
        return _latest(period, max(read - 1, 0)) if self.every else read

    def graph(self, period: int) -> int:
        """Return tokens that the gradient of a level is taken through at once; 0 if it never
        moves.
        """
        return min(period, self.horizon or period)


def online_memories(model: Model) -> Iterator[tuple[str, Memory]]:
    """Yield every online memory with the path of its layer."""
    for layer in model.layers:
        for memory in layer.block.memories.values():
            if memory.is_online:
                yield layer.path, memory


def erased_layers(memory: Memory) -> int:
    """Return how many matrices of an online memory forget what its queries found in them, inputs
    first.
    """
    erase, net = memory.rule.erase.where, memory.net
    if not memory.is_online or erase == "none":
        return 0
    return net.layers if erase == "layers" and net.kind == "mlp" else 1


def ticks_of(model: Model) -> Ticks:
    """Return the ticks of a model."""
    said = None if model.horizon is None else model.horizon.period
    return Ticks.of((Pace.of(memory) for _, memory in online_memories(model)), said)


def _latest(period: int, position: int) -> int:
    return position - position % period if period else 0
