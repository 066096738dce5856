"""Lines with corners as splines with rounded turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot

from nestgraph.viz.scene.shapes import Point

_RADIUS = 7.0
_ARROW = 7.0  # length of an arrow head


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Control points between two ends; arrow heads fill what is left to the ends."""

    path: tuple[Point, ...]
    start: Point
    end: Point


def curve(points: Sequence[Point], head: float = _ARROW, tail: float = 0.0) -> Curve:
    """Return a line through corners; `head` and `tail` are the lengths of the arrow heads at its
    ends.
    """
    first, last = points[0], points[-1]
    inner = list(points)
    if head:
        inner[-1] = _towards(last, inner[-2], head)
    if tail:
        inner[0] = _towards(first, inner[1], tail)
    return Curve(path=tuple(_rounded(inner)), start=first, end=last)


def number(value: float) -> str:
    """Return a length to a hundredth of a point, without trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _rounded(points: Sequence[Point]) -> Iterator[Point]:
    """Return control points: straight stretches, joined by quarter turns."""
    yield points[0]
    at = points[0]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_RADIUS, _length(before, corner) / 2, _length(corner, after) / 2)
        enter = _towards(corner, before, radius)
        leave = _towards(corner, after, radius)
        yield from _straight(at, enter)
        yield from (_between(enter, corner, 0.55), _between(leave, corner, 0.55), leave)
        at = leave
    yield from _straight(at, points[-1])


def _straight(start: Point, end: Point) -> Iterator[Point]:
    yield from (_between(start, end, 1 / 3), _between(start, end, 2 / 3), end)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _towards(start: Point, end: Point, distance: float) -> Point:
    length = _length(start, end)
    return _between(start, end, min(1.0, distance / length)) if length else start


def _length(start: Point, end: Point) -> float:
    return hypot(end[0] - start[0], end[1] - start[1])
