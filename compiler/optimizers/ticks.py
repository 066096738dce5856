"""When a flow of an optimizer ticks, known before the first step.

The gradient ticks at each step. A pooled flow ticks at the end of its period, a read at the
boundary one step later, an op whenever one of its flows does. So a flow's ticks are a union of
clocks (period, delay), each of which ticks at the steps t > delay with (t − delay) a multiple of
its period; a delay below 0 only says that the first period is shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ticks:
    """A union of clocks (period, delay); empty for numbers, which are no events."""

    clocks: frozenset[tuple[int, int]] = frozenset()

    def __or__(self, other: Ticks) -> Ticks:
        return Ticks(_fewest(self.clocks | other.clocks))

    def later(self, steps: int = 1) -> Ticks:
        """Return the same ticks, so many steps later."""
        return Ticks(frozenset((period, delay + steps) for period, delay in self.clocks))

    def onwards(self) -> Ticks:
        """Return each step from the first tick on."""
        first = min((period + delay for period, delay in self.clocks), default=0)
        return Ticks(frozenset({(1, first - 1)})) if self.clocks else self

    def at_ends_of(self, period: int) -> Ticks:
        """Return those of the ticks that fall on the end of a period of so many steps."""
        found = NONE
        for own, delay in self.clocks:
            cycle = math.lcm(own, period)
            first = next(
                (t for t in range(delay + own, delay + cycle + 1, own) if not t % period), 0
            )
            if first:
                found |= Ticks(frozenset({(cycle, first - cycle)}))
        return found

    def fresh(self, step: int) -> bool:
        """Return whether there is a tick at a step, counted from 1."""
        return any(_fresh(period, delay, step) for period, delay in self.clocks)

    def count(self, step: int) -> int:
        """Return ticks up to and with a step."""
        if len(self.clocks) == 1:
            ((period, delay),) = self.clocks
            return max(0, (step - delay) // period)
        start = max((delay for _, delay in self.clocks), default=0)
        cycle = math.lcm(*(period for period, _ in self.clocks))
        if step <= start + cycle:
            return sum(self.fresh(s) for s in range(1, step + 1))
        cycles = (step - start) // cycle - 1
        return self.count(step - cycles * cycle) + cycles * sum(
            self.fresh(s) for s in range(start + 1, start + cycle + 1)
        )

    @property
    def every_step(self) -> bool:
        """Return whether it ticks at each step (but perhaps the first few)."""
        return any(period == 1 for period, _ in self.clocks)

    def within(self, period: int) -> bool:
        """Return whether each tick falls on the end of a period of so many steps."""
        return all(delay % period == 0 and own % period == 0 for own, delay in self.clocks)


def _fresh(period: int, delay: int, step: int) -> bool:
    return step > delay and (step - delay) % period == 0


def _fewest(clocks: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Return the clocks without those that only tick when another one does."""
    first: dict[tuple[int, int], int] = {}  # the shortest delay, by period and what is left of it
    for period, delay in clocks:
        key = (period, delay % period)
        first[key] = min(delay, first.get(key, delay))
    periods = {period for period, _ in first}
    return frozenset(
        (period, delay)
        for (period, _), delay in first.items()
        if not any(
            period != other
            and period % other == 0
            and first.get((other, delay % other), delay + 1) <= delay
            for other in periods
        )
    )


NONE = Ticks()
STEPS = Ticks(frozenset({(1, 0)}))


def ends_of(period: int) -> Ticks:
    """Return the ends of all periods of so many steps."""
    return Ticks(frozenset({(period, 0)}))
