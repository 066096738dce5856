"""Taking turns, and what is made of the times."""

from __future__ import annotations

import gc
import random

import pytest

from benchmarks.timing import Spread, interleave, no_garbage_collection, speed_ratio


class Clock:
    """A clock that only the steps move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sides_take_turns_and_each_begins_a_round_as_often() -> None:
    seen: list[str] = []
    interleave({name: lambda name=name: seen.append(name) for name in "abc"}, rounds=6, warmup=0)
    rounds = [seen[i : i + 3] for i in range(0, 18, 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds)
    assert sorted(turn[0] for turn in rounds) == ["a", "a", "b", "b", "c", "c"]


def test_every_round_is_timed_on_both_clocks_and_the_warm_up_on_none() -> None:
    wall, busy = Clock(), Clock()
    taken = [random.random() for _ in range(7)]
    rest = iter(taken)

    def step() -> None:
        seconds = next(rest)
        wall.now += seconds
        busy.now += 2 * seconds

    times = interleave({"a": step}, rounds=5, warmup=2, clocks=(wall, busy))["a"]
    assert times.wall == pytest.approx(taken[2:])
    assert times.processor == pytest.approx([2 * seconds for seconds in taken[2:]])


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_moment_cancels() -> None:
    slow_moments = [random.uniform(1, 100) for _ in range(21)]
    ours = [2 * factor for factor in slow_moments]
    theirs = [3 * factor for factor in slow_moments]
    ratio = speed_ratio(ours, theirs)
    assert (ratio.low, ratio.median, ratio.high) == pytest.approx((1.5, 1.5, 1.5))


def test_a_spread_holds_the_quartiles() -> None:
    assert Spread.of([4, 1, 3, 2, 5]) == Spread(low=2, median=3, high=4)
    assert Spread.of([7]) == Spread(low=7, median=7, high=7)


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_rests_while_times_are_taken(on: bool) -> None:
    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with no_garbage_collection():
            assert not gc.isenabled()
        assert gc.isenabled() == on
    finally:
        (gc.enable if was_on else gc.disable)()
