"""What is painted: shapes, texts and lines at their places, in points from the top left corner.

Every view ends as a `Scene`, and every writer of a picture (SVG, PDF, DOT and from it PNG, the
page) begins with one. Colours are names of paints, which a `Theme` turns into colours.
"""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rect:
    """A rectangle."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right end."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower end."""
        return self.top + self.height


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """One line of text, whose middle lies `height / 2` below `top`."""

    content: str
    left: float
    top: float
    height: float
    size: float
    bold: bool = False
    ink: str = "ink"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A rectangle with texts; or only the texts, where it has no `fill` and no `line`.

    Attributes:
        id: what it stands for: a node of the graph, a memory, a level.
        kind: its class in SVG and DOT.
        fill: paint of its inside.
        line: paint of its border.
        inside: id of the frame that it stands in.
        frame: whether others stand in it; frames are painted first, the outer ones before.
        tip: told when the mouse rests on it.
        status: `added`, `removed` or `changed` in the picture of a difference.
        owner: id of the shape that this one is a part of.
    """

    id: str
    kind: str
    rect: Rect
    fill: str = ""
    line: str = ""
    radius: float = 0.0
    dashed: bool = False
    texts: tuple[Text, ...] = ()
    inside: str = ""
    frame: bool = False
    tip: str = ""
    status: str = ""
    owner: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line along cubic splines.

    Attributes:
        kind: names its `Stroke`.
        source: id of the shape where it starts; empty in a legend.
        target: id of the shape where it ends.
        path: one point and then three for each spline.
        start: where the arrow at the tail ends, or the first point of `path`.
        end: where the arrow at the head ends, or the last point of `path`.
    """

    kind: str
    source: str
    target: str
    path: tuple[Point, ...]
    start: Point
    end: Point
    tip: str = ""
    status: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A whole picture."""

    name: str
    width: float
    height: float
    shapes: tuple[Shape, ...]
    lines: tuple[Line, ...]
