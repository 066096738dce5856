"""The legend: one line of each kind that the picture shows, and its meaning beside it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from nestgraph.viz.arrows import LENGTHS
from nestgraph.viz.metrics import text_width
from nestgraph.viz.scene import Line, Rect, Shape, Text
from nestgraph.viz.splines import curve
from nestgraph.viz.theme import STROKES, TEXT_SIZE

_LINE = 44  # of a sample
_GAP = 22
_ROW = 18


@dataclass(slots=True)
class Legend:
    """Samples and their texts, and where they end below."""

    bottom: float
    shapes: list[Shape] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def legend(shown: Collection[str], start: float, top: float, right: float) -> Legend:
    """The samples of the kinds that are shown, row by row between two ends."""
    made = Legend(bottom=top + _ROW)
    left = float(start)
    for kind in (kind for kind in STROKES if kind in shown):
        width = math.ceil(text_width(STROKES[kind].meaning, TEXT_SIZE)) + 4
        if left > start and left + _LINE + 6 + width > right:
            left, top = float(start), top + _ROW
        _add(made, kind, left, top, width)
        left += _LINE + 6 + width + _GAP
    made.bottom = top + _ROW
    return made


def _add(made: Legend, kind: str, left: float, top: float, width: float) -> None:
    stroke = STROKES[kind]
    rect = Rect(left=left + _LINE + 6, top=top, width=width, height=16)
    text = Text(content=stroke.meaning, left=rect.left, top=top, height=16, size=TEXT_SIZE)
    made.shapes.append(Shape(id=f"legend {kind}", kind="legend", rect=rect, texts=(text,)))
    points = ((left, top + 8), (left + _LINE, top + 8))
    bent = curve(points, LENGTHS[stroke.head], LENGTHS[stroke.tail])
    made.lines.append(
        Line(kind=kind, source="", target="", path=bent.path, start=bent.start, end=bent.end)
    )
