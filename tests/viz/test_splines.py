"""Lines with corners as splines."""

from __future__ import annotations

import random

import pytest

from nestgraph.viz.splines import number, spline


def points_of(text: str) -> list[tuple[float, float]]:
    bare = [part for part in text.split() if part[0] not in "se"]
    return [(float(x), float(y)) for x, y in (part.split(",") for part in bare)]


def test_a_spline_has_one_point_and_then_threes() -> None:
    rng = random.Random(3)
    for _ in range(20):
        x, y, u, v = (rng.uniform(-500, 500) for _ in range(4))
        points = points_of(spline([(x, y), (x, v), (u, v)]))
        assert len(points) % 3 == 1


def test_arrow_heads_stand_between_the_line_and_its_ends() -> None:
    text = spline([(0, 0), (0, 100)], head=7, tail=5)
    assert text.startswith("s,0,0 e,0,100 ")
    assert points_of(text)[0] == (0, 5)
    assert points_of(text)[-1] == (0, 93)


def test_without_heads_the_line_reaches_its_ends() -> None:
    text = spline([(0, 0), (30, 0)], head=0)
    assert points_of(text)[0] == (0, 0)
    assert points_of(text)[-1] == (30, 0)


def test_corners_are_cut_by_less_than_half_of_a_short_stretch() -> None:
    points = points_of(spline([(0, 0), (0, 100), (4, 100), (4, 200)], head=0))
    assert all(0 <= x <= 4 for x, _ in points)
    assert (2, 100) in points


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.125, "0.12"), (-0.001, "0"), (36123.456, "36123.46")]
)
def test_numbers_are_short_and_exact_to_a_hundredth(value: float, text: str) -> None:
    assert number(value) == text
