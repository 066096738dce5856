"""Arrow heads as outlines: the kinds that `STROKES` uses."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from nestgraph.viz.scene.shapes import Point

LENGTHS = {"normal": 7.0, "vee": 7.0, "odot": 5.6, "diamond": 8.4, "odiamond": 8.4, "none": 0.0}
"""How far a head reaches, in points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A closed outline, or a ring where `radius` is set (then `points` holds its middle)."""

    points: tuple[Point, ...]
    filled: bool = True
    radius: float = 0.0


def mark(head: str, base: Point, tip: Point) -> Mark | None:
    """Return the outline of a head that reaches from the end of a line to `tip`."""
    length = hypot(tip[0] - base[0], tip[1] - base[1])
    if head == "none" or length == 0:
        return None
    along = (tip[0] - base[0]) / length, (tip[1] - base[1]) / length

    def at(forward: float, aside: float) -> Point:
        return (
            base[0] + along[0] * forward - along[1] * aside,
            base[1] + along[1] * forward + along[0] * aside,
        )

    wing, middle = length * 0.36, length / 2
    if head == "odot":
        return Mark(points=(at(middle, 0),), filled=False, radius=middle - 0.8)
    if head == "vee":
        outline = at(0, 0), at(-length * 0.3, wing), (tip[0], tip[1]), at(-length * 0.3, -wing)
        return Mark(points=outline)
    if head in ("diamond", "odiamond"):
        outline = at(0, 0), at(middle, wing * 0.9), tip, at(middle, -wing * 0.9)
        return Mark(points=outline, filled=head == "diamond")
    return Mark(points=(at(0, wing), tip, at(0, -wing)))
