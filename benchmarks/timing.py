"""Timing several ways to do the same thing on a machine that others use too.

The sides take turns within every round, and begin in turn, so that a slow moment of the machine
falls on all of them. A ratio is worked out round by round and only then summed up: a median of
ratios holds still where a ratio of medians would not.

Beside the time on the wall stands the time that the process spent on processors, all its threads
together. Others who want the same cores stretch the first much more than the second, which
counts a thread that spins while it waits for another, however.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Seconds of one side, a number a round.

    Attributes:
        wall: as a user waits.
        processor: of all threads together.
    """

    wall: tuple[float, ...]
    processor: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Times:
        """Return a ratio from both times of every round."""
        return cls(wall=tuple(wall for wall, _ in pairs), processor=tuple(cpu for _, cpu in pairs))


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """The middle of some numbers, and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the quartiles of one or more numbers."""
        if len(values) == 1:
            return cls(low=values[0], median=values[0], high=values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low=low, median=median, high=high)


def interleave(
    steps: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 2,
    clocks: tuple[Clock, Clock] = (time.perf_counter, time.process_time),
) -> dict[str, Times]:
    """Time every step in every round.

    Args:
        steps: what to time, by name.
        rounds: how often each is timed.
        warmup: how often each runs before, untimed.
        clocks: give the time on the wall and on the processors, in seconds.
    """
    for step in steps.values():
        for _ in range(warmup):
            step()
    names = list(steps)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with no_garbage_collection():
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                seconds[name].append(_timed(steps[name], clocks))
    return {name: Times.of(pairs) for name, pairs in seconds.items()}


def _timed(step: Callable[[], object], clocks: tuple[Clock, Clock]) -> tuple[float, float]:
    wall, busy = (clock() for clock in clocks)
    step()
    return clocks[0]() - wall, clocks[1]() - busy


def speed_ratio(mine: Sequence[float], other: Sequence[float]) -> Spread:
    """Return how many times as fast as the other: more than 1 is faster."""
    return Spread.of([b / a for a, b in zip(mine, other, strict=True)])


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep Python's collector from running inside, which would fall on one side by chance."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
