"""Colours, sizes and line styles of the pictures.

A scene names paints; a theme knows their colours. Kinds of edges differ in line and arrow as
well as in colour, so that a picture still reads in grey. Sizes are in points.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

FONT = "Helvetica"
FONTS = "Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', sans-serif"
"""Families whose letters are as wide as Helvetica's, for SVG."""

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
        style: of the line: `solid`, `dashed` or `dotted`.
        width: of the line.
        head: arrow at the end.
        tail: arrow at the start.
    """

    meaning: str
    style: str = "solid"
    width: float = 1.2
    head: str = "normal"
    tail: str = "none"


STROKES: Mapping[str, Stroke] = {
    "flow": Stroke(meaning="context flow"),
    "write": Stroke(meaning="write (keys, values)", width=2.6),
    "rate": Stroke(meaning="rates, made by a flow", style="dashed", head="vee", width=1.5),
    "init": Stroke(meaning="first state (initialisation)", style="dotted", head="odot", width=2.0),
    "task": Stroke(meaning="gradient of the task", head="diamond", tail="odiamond"),
    "carry": Stroke(meaning="state, read a tick later", style="dashed", width=1.0, head="vee"),
}
"""By kind of edge; the paint of a kind has its name, with `-tint` that of an input it ends at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What became of a box or line in the picture of a difference.

    Attributes:
        sign: before the title of a box.
        meaning: for the legend.
    """

    sign: str
    meaning: str


STATES: Mapping[str, State] = {
    "added": State(sign="+", meaning="added"),
    "removed": State(sign="-", meaning="removed"),
    "changed": State(sign="~", meaning="changed: what was, -> what is"),
}
"""By status; each has the paints of a fill and a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    """Colours by paint.

    Attributes:
        paints: colours by name.
        slow: fill and line of the slowest level that counts tokens.
        fast: those of the fastest; the levels between lie between.
    """

    paints: Mapping[str, str]
    slow: tuple[str, str]
    fast: tuple[str, str]

    def colour(self, paint: str) -> str:
        """Return the colour of a paint, as `#RRGGBB`."""
        level = _TOKEN.fullmatch(paint)
        if level is None:
            return self.paints[paint]
        side = ("fill", "line").index(level["side"])
        share = int(level["position"]) / max(1, int(level["last"]))
        return _mixed(self.slow[side], self.fast[side], share if int(level["last"]) else 1.0)


_TOKEN = re.compile(r"token-(?P<position>\d+)-(?P<last>\d+)-(?P<side>fill|line)")


def token_tone(position: int, count: int) -> str:
    """Return the tone of a level that counts tokens: from slow (position 0) to fast."""
    return f"token-{position}-{count - 1}"


def _mixed(one: str, other: str, share: float) -> str:
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


_LIGHT = {
    "ink": "#2B2B33",
    "faint": "#6F6F7A",
    "paper": "#FFFFFF",
    "page": "#FFFFFF",
    "block-fill": "#FAFAFC",
    "block-line": "#9A9AA2",
    "flow": "#2B2B33",
    "flow-tint": "#F1F1F3",
    "write": "#2455A4",
    "write-tint": "#E6EDF8",
    "rate": "#A85408",
    "rate-tint": "#FBEEDF",
    "init": "#2E7040",
    "init-tint": "#E6F2E8",
    "task": "#B03030",
    "task-tint": "#F9E4E3",
    "carry": "#64647D",
    "carry-tint": "#E9E9F2",
    "outer-fill": "#F8ECE9",
    "outer-line": "#B68282",
    "frozen-fill": "#EFEFF0",
    "frozen-line": "#9A9AA2",
    "recomputed-fill": "#FEF7E2",
    "recomputed-line": "#C2A95A",
    "stream-fill": "#F4F4F6",
    "stream-line": "#9A9AA2",
    "added-fill": "#E2F4E4",
    "added-line": "#1F8A3B",
    "removed-fill": "#FBE3E3",
    "removed-line": "#C62828",
    "changed-fill": "#FFF1D0",
    "changed-line": "#B97A00",
    "same-fill": "#F7F7F8",
    "same-line": "#B5B5BD",
}
_DARK = {
    "ink": "#E8E8EE",
    "faint": "#A0A0AE",
    "paper": "#26262E",
    "page": "#17171C",
    "block-fill": "#1E1E25",
    "block-line": "#62626E",
    "flow": "#D4D4DC",
    "flow-tint": "#33333C",
    "write": "#7FB0FF",
    "write-tint": "#22304A",
    "rate": "#F0A55A",
    "rate-tint": "#41301E",
    "init": "#7CCB92",
    "init-tint": "#203A28",
    "task": "#F08080",
    "task-tint": "#462628",
    "carry": "#A3A3C4",
    "carry-tint": "#2E2E3E",
    "outer-fill": "#302325",
    "outer-line": "#A06C6C",
    "frozen-fill": "#2A2A2E",
    "frozen-line": "#7C7C86",
    "recomputed-fill": "#332D1B",
    "recomputed-line": "#A8904A",
    "stream-fill": "#222228",
    "stream-line": "#74747E",
    "added-fill": "#1D3A25",
    "added-line": "#58C776",
    "removed-fill": "#452326",
    "removed-line": "#F07070",
    "changed-fill": "#43361A",
    "changed-line": "#E6B450",
    "same-fill": "#222228",
    "same-line": "#5A5A66",
}
_PRINT = dict.fromkeys(_LIGHT, "#FFFFFF") | {
    name: "#000000" for name in _LIGHT if name in STROKES or name.endswith("-line")
}
_PRINT |= {
    "ink": "#000000",
    "faint": "#444444",
    "outer-fill": "#E4E4E4",
    "block-line": "#666666",
    "same-line": "#999999",
    "stream-fill": "#F4F4F4",
    "removed-fill": "#D8D8D8",
    "changed-fill": "#EEEEEE",
}

THEMES: Mapping[str, Theme] = {
    "light": Theme(paints=_LIGHT, slow=("#E9E9F2", "#64647D"), fast=("#E6F0E7", "#5E7A62")),
    "dark": Theme(paints=_DARK, slow=("#272737", "#8A8AAE"), fast=("#1F2F23", "#77A07E")),
    "print": Theme(paints=_PRINT, slow=("#EEEEEE", "#000000"), fast=("#FAFAFA", "#000000")),
}
"""For screens by day, by night, and for paper without colours."""
