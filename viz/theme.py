"""Colours, sizes and line styles of the pictures.

Kinds of edges differ in line and arrow as well as in colour, so that a picture still reads
in grey. Sizes are in points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FONT = "Helvetica"
INK = "#2B2B33"
FAINT = "#6F6F7A"
PAPER = "#FFFFFF"

TITLE_SIZE = 17.0
RANK_SIZE = 13.0
NAME_SIZE = 12.0
TEXT_SIZE = 10.0
LINE = 13.0  # height of a line of text
PAD = 8.0  # between text and the border of its box


@dataclass(frozen=True, kw_only=True, slots=True)
class Stroke:
    """How one kind of edge is drawn, and what the legend calls it.

    Attributes:
        meaning: for the legend.
        colour: of line, arrow and text.
        tint: fill of an input where such edges end.
        style: of the line.
        width: of the line.
        head: arrow at the end.
        tail: arrow at the start.
    """

    meaning: str
    colour: str
    tint: str
    style: str = "solid"
    width: float = 1.2
    head: str = "normal"
    tail: str = "none"


STROKES: Mapping[str, Stroke] = {
    "flow": Stroke(meaning="context flow", colour="#2B2B33", tint="#F1F1F3"),
    "write": Stroke(meaning="write (keys, values)", colour="#2455A4", tint="#E6EDF8", width=2.6),
    "rate": Stroke(
        meaning="rates, made by a flow",
        colour="#A85408",
        tint="#FBEEDF",
        style="dashed",
        head="vee",
        width=1.5,
    ),
    "init": Stroke(
        meaning="first state (initialisation)",
        colour="#2E7040",
        tint="#E6F2E8",
        style="dotted",
        head="odot",
        width=2.0,
    ),
    "task": Stroke(
        meaning="gradient of the task",
        colour="#B03030",
        tint="#F9E4E3",
        head="diamond",
        tail="odiamond",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tone:
    """Fill and border of a level."""

    fill: str
    line: str


OUTER = Tone(fill="#F8ECE9", line="#B68282")
FROZEN = Tone(fill="#EFEFF0", line="#9A9AA2")
RECOMPUTED = Tone(fill="#FEF7E2", line="#C2A95A")
STREAM = Tone(fill="#F4F4F6", line="#9A9AA2")
_SLOW = ((0xE9, 0xE9, 0xF2), (0x64, 0x64, 0x7D))
_FAST = ((0xE6, 0xF0, 0xE7), (0x5E, 0x7A, 0x62))


def token_tone(position: int, count: int) -> Tone:
    """From blue-violet for the slowest token clock to green for the fastest."""
    share = position / (count - 1) if count > 1 else 1.0
    fill, line = (
        "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in zip(slow, fast, strict=True))
        for slow, fast in zip(_SLOW, _FAST, strict=True)
    )
    return Tone(fill=fill, line=line)
