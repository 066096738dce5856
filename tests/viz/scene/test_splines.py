"""Lines with corners as splines."""

from __future__ import annotations

import random

import pytest

from nestgraph.viz.scene.splines import curve, number


def test_a_spline_has_one_point_and_then_threes() -> None:
    rng = random.Random(3)
    for _ in range(20):
        x, y, u, v = (rng.uniform(-500, 500) for _ in range(4))
        assert len(curve([(x, y), (x, v), (u, v)]).path) % 3 == 1


def test_arrow_heads_stand_between_the_line_and_its_ends() -> None:
    bent = curve([(0, 0), (0, 100)], head=7, tail=5)
    assert (bent.start, bent.end) == ((0, 0), (0, 100))
    assert (bent.path[0], bent.path[-1]) == ((0, 5), (0, 93))


def test_without_heads_the_line_reaches_its_ends() -> None:
    bent = curve([(0, 0), (30, 0)], head=0)
    assert (bent.path[0], bent.path[-1]) == ((0, 0), (30, 0))


def test_corners_are_cut_by_less_than_half_of_a_short_stretch() -> None:
    points = curve([(0, 0), (0, 100), (4, 100), (4, 200)], head=0).path
    assert all(0 <= x <= 4 for x, _ in points)
    assert (2, 100) in points


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.125, "0.12"), (-0.001, "0"), (36123.456, "36123.46")]
)
def test_numbers_are_short_and_exact_to_a_hundredth(value: float, text: str) -> None:
    assert number(value) == text
