"""Where the title of a frame stands in its top band, so that no line runs through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from nestgraph.viz.scene.shapes import Line, Point, Rect, Text

_INSET = 10  # from the frame's left side
_CLEAR = 5  # between a title and a line, or the frame's right side
_STEPS = 24  # straight pieces that stand for one spline

Span = tuple[float, float]


def clear(title: Text, width: float, frame: Rect, lines: Iterable[Line]) -> Text:
    """Return the title where it stands, or at the first free place to its right.

    Args:
        title: at the left of its frame's top.
        width: of the title.
        frame: around it.
        lines: all of the picture.

    Returns:
        The title; as it was, if lines leave it no place.
    """
    left, last = title.left, frame.right - _INSET - width
    for start, end in sorted(_crossings(title, lines)):
        if start - _CLEAR >= left + width:
            break
        left = max(left, end + _CLEAR)
    return replace(title, left=round(left, 2)) if left <= last else title


def _crossings(title: Text, lines: Iterable[Line]) -> Iterator[Span]:
    """Yield from where to where each piece of a line runs at the height of a title."""
    top, bottom = title.top, title.top + title.height
    for line in lines:
        for piece in _pieces(line):
            if not _meets(piece, top, bottom):
                continue  # a spline stays among the points that bend it
            for start, end in pairwise(_corners(piece)):
                if _meets((start, end), top, bottom):
                    yield min(start[0], end[0]), max(start[0], end[0])


def _meets(points: Sequence[Point], top: float, bottom: float) -> bool:
    heights = [y for _, y in points]
    return min(heights) <= bottom and max(heights) >= top


def _pieces(line: Line) -> Iterator[tuple[Point, ...]]:
    """Yield the splines of a line by four points each, and its straight ends by two."""
    path = line.path
    yield line.start, path[0]
    yield from zip(path[::3], path[1::3], path[2::3], path[3::3], strict=False)
    yield path[-1], line.end


def _corners(piece: tuple[Point, ...]) -> Iterator[Point]:
    """Yield a piece as the corners of straight ones."""
    if len(piece) == 2:
        yield from piece
        return
    for step in range(_STEPS + 1):
        t = step / _STEPS
        s = 1 - t
        shares = (s**3, 3 * s * s * t, 3 * s * t * t, t**3)
        yield (
            sum(share * x for share, (x, _) in zip(shares, piece, strict=True)),
            sum(share * y for share, (_, y) in zip(shares, piece, strict=True)),
        )
