"""The legend: one line of each kind that the picture shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nestgraph.viz.layout import Picture, Rect
from nestgraph.viz.metrics import text_width
from nestgraph.viz.place import MARGIN
from nestgraph.viz.splines import Point
from nestgraph.viz.theme import STROKES, TEXT_SIZE

_LINE = 44  # of a sample
_GAP = 22


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One kind of edge: a line, and its meaning beside it."""

    kind: str
    text: str
    line: tuple[Point, Point]
    rect: Rect


def samples(picture: Picture) -> Iterator[Sample]:
    """The samples, row by row."""
    shown = {wire.wire.kind for wire in picture.wires}
    left, top = float(MARGIN), picture.legend_top
    for kind, stroke in STROKES.items():
        if kind not in shown:
            continue
        width = math.ceil(text_width(stroke.meaning, TEXT_SIZE)) + 4
        if left > MARGIN and left + _LINE + 6 + width > picture.width - MARGIN:
            left, top = float(MARGIN), top + 18
        yield Sample(
            kind=kind,
            text=stroke.meaning,
            line=((left, top + 8), (left + _LINE, top + 8)),
            rect=Rect(left=left + _LINE + 6, top=top, width=width, height=16),
        )
        left += _LINE + 6 + width + _GAP
