"""Lines with corners as the rounded splines of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import hypot

Point = tuple[float, float]

_RADIUS = 7.0
_ARROW = 7.0  # length of an arrow head


def spline(points: Sequence[Point], head: float = _ARROW, tail: float = 0.0) -> str:
    """The value of `pos` for an edge through `points`, with y growing upwards.

    `head` and `tail` are the lengths of the arrow heads that stand before the ends.
    """
    first, last = points[0], points[-1]
    inner = list(points)
    if head:
        inner[-1] = _towards(last, inner[-2], head)
    if tail:
        inner[0] = _towards(first, inner[1], tail)
    parts = [_text("s", first)] if tail else []
    parts += [_text("e", last)] if head else []
    parts += [_text("", point) for point in _curve(inner)]
    return " ".join(parts)


def number(value: float) -> str:
    """A length to a hundredth of a point, without trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def place(point: Point) -> str:
    """A point as DOT writes it."""
    return f"{number(point[0])},{number(point[1])}"


def _text(mark: str, point: Point) -> str:
    return f"{mark},{place(point)}" if mark else place(point)


def _curve(points: Sequence[Point]) -> Iterator[Point]:
    """Control points: straight stretches, joined by quarter turns."""
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
