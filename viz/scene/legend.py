"""The legend: one line of each kind that the picture shows, and its meaning beside it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from nestgraph.viz.scene.arrows import LENGTHS
from nestgraph.viz.scene.metrics import text_width
from nestgraph.viz.scene.shapes import Line, Rect, Shape, Text
from nestgraph.viz.scene.splines import curve
from nestgraph.viz.scene.theme import STATES, STROKES, TEXT_SIZE

_LINE = 44  # of a sample
_GAP = 22
_ROW = 18


@dataclass(slots=True)
class Legend:
    """Samples and their texts, and where they end below."""

    bottom: float
    shapes: list[Shape] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def legend(
    shown: Collection[str], start: float, top: float, right: float, states: Collection[str] = ()
) -> Legend:
    """Return the samples of the kinds and states that are shown, row by row between two ends."""
    made = Legend(bottom=top + _ROW)
    left = float(start)
    meanings = {kind: stroke.meaning for kind, stroke in STROKES.items() if kind in shown}
    meanings |= {state: told.meaning for state, told in STATES.items() if state in states}
    for kind, meaning in meanings.items():
        width = math.ceil(text_width(meaning, TEXT_SIZE)) + 4
        if left > start and left + _LINE + 6 + width > right:
            left, top = float(start), top + _ROW
        _add(made, kind, meaning, left, top, width)
        left += _LINE + 6 + width + _GAP
    made.bottom = top + _ROW
    return made


def _add(made: Legend, kind: str, meaning: str, left: float, top: float, width: float) -> None:
    rect = Rect(left=left + _LINE + 6, top=top, width=width, height=16)
    text = Text(content=meaning, left=rect.left, top=top, height=16, size=TEXT_SIZE)
    made.shapes.append(Shape(id=f"legend {kind}", kind="legend", rect=rect, texts=(text,)))
    if kind in STATES:
        made.shapes.append(_swatch(kind, left, top))
        return
    stroke = STROKES[kind]
    points = ((left, top + 8), (left + _LINE, top + 8))
    bent = curve(points, LENGTHS[stroke.head], LENGTHS[stroke.tail])
    made.lines.append(
        Line(kind=kind, source="", target="", path=bent.path, start=bent.start, end=bent.end)
    )


def _swatch(state: str, left: float, top: float) -> Shape:
    """Return a small box in the colours of a state."""
    rect = Rect(left=left + _LINE - 26, top=top + 1, width=26, height=14)
    sign = STATES[state].sign
    text = Text(content=sign, left=rect.left + 10, top=rect.top, height=14, size=TEXT_SIZE)
    return Shape(
        id=f"legend {state} box",
        kind="legend",
        rect=rect,
        fill=f"{state}-fill",
        line=f"{state}-line",
        radius=3,
        texts=(text,),
    )
