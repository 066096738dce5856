"""Lanes of a street."""

from __future__ import annotations

from nestgraph.viz.routing.lanes import stacked
from nestgraph.viz.routing.route import Lane


def lane(left: int, right: int, up: int | None = None, down: int | None = None) -> Lane:
    return Lane(left, right, [] if up is None else [up], [] if down is None else [down])


def test_nets_that_do_not_meet_share_a_lane() -> None:
    lanes = {(0, ("a",)): lane(0, 50), (0, ("b",)): lane(80, 120)}
    assert set(stacked(lanes).values()) == {0}


def test_nets_that_meet_have_lanes_of_their_own() -> None:
    lanes = {(0, (name,)): lane(0, 50) for name in "abc"}
    assert sorted(stacked(lanes).values()) == [0, 1, 2]


def test_streets_are_counted_apart() -> None:
    lanes = {(0, ("a",)): lane(0, 50), (1, ("b",)): lane(0, 50)}
    assert set(stacked(lanes).values()) == {0}


def test_what_goes_down_inside_another_lies_below_it() -> None:
    lanes = {(0, ("wide",)): lane(0, 100, up=0), (0, ("inner",)): lane(40, 60, down=50)}
    levels = stacked(lanes)
    assert levels[0, ("inner",)] > levels[0, ("wide",)]


def test_what_goes_up_inside_another_lies_above_it() -> None:
    lanes = {(0, ("wide",)): lane(0, 100, down=0), (0, ("inner",)): lane(40, 60, up=50)}
    levels = stacked(lanes)
    assert levels[0, ("inner",)] < levels[0, ("wide",)]
