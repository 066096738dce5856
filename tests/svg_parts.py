"""Reads the pictures back, for tests: texts, boxes and edges of an SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from nestgraph.viz.scene.metrics import text_width

NAMESPACE = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, kw_only=True)
class Extent:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)

    def starts(self, other: Extent) -> bool:
        """Return whether the middle of the left side of another one lies inside."""
        middle = (other.top + other.bottom) / 2
        return self.left <= other.left <= self.right and self.top <= middle <= self.bottom

    def holds(self, other: Extent, slack: float = 0.5) -> bool:
        return (
            self.left - slack <= other.left
            and self.top - slack <= other.top
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )


@dataclass(frozen=True, kw_only=True)
class Text:
    """A line of text and where it is."""

    content: str
    extent: Extent


@dataclass(frozen=True, kw_only=True)
class Part:
    """A node, edge or cluster: its classes, shapes and texts."""

    id: str
    classes: frozenset[str]
    shapes: tuple[Extent, ...]
    texts: tuple[Text, ...]
    strokes: frozenset[tuple[str, str]]


def parts(svg: str) -> tuple[Part, ...]:
    """Return everything in a picture, in the order in which it is painted."""
    root = ElementTree.fromstring(svg)
    groups = root.iter(f"{NAMESPACE}g")
    return tuple(_part(group) for group in groups if _classes(group) & {"node", "edge", "cluster"})


def with_class(svg: str, *names: str) -> list[Part]:
    """Return the parts that have all of some classes."""
    return [part for part in parts(svg) if set(names) <= part.classes]


def _classes(group: Element) -> frozenset[str]:
    return frozenset(group.get("class", "").split())


def _part(group: Element) -> Part:
    lines = [shape for shape in group.iter(f"{NAMESPACE}path")]
    return Part(
        id=group.get("data-id", ""),
        classes=_classes(group),
        shapes=tuple(_shapes(group)),
        texts=tuple(_text(text) for text in group.iter(f"{NAMESPACE}text")),
        strokes=frozenset(
            (line.get("stroke", ""), line.get("stroke-dasharray", "")) for line in lines
        ),
    )


def _shapes(group: Element) -> Iterator[Extent]:
    for rect in group.iter(f"{NAMESPACE}rect"):
        left, top, width, height = (
            float(rect.get(key, "0")) for key in ("x", "y", "width", "height")
        )
        yield Extent(left=left, top=top, right=left + width, bottom=top + height)


def _text(text: Element) -> Text:
    content = "".join(text.itertext())
    size = float(text.get("font-size", "0"))
    left, base = float(text.get("x", "0")), float(text.get("y", "0"))
    width = text_width(content, size, bold=text.get("font-weight") == "bold")
    # Helvetica reaches 0.72 of its size above the line and 0.21 below it.
    extent = Extent(
        left=left, top=base - 0.72 * size, right=left + width, bottom=base + 0.21 * size
    )
    return Text(content=content, extent=extent)
