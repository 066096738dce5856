"""What a picture shows, before anyone decides where: the one model that every writer reads.

Levels are bands, outermost first. A memory is a box with its net, objective and rule, and a
strip of inputs below: what it is asked, what it writes, which rates flows make for it. Memories
that all write the same things stand in one frame and share one strip. Ops are not shown: wires
join the boxes that they lie between.
"""

from __future__ import annotations

from dataclasses import dataclass

from nestgraph.analysis.levels import LevelRow

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One input of a box or frame.

    Attributes:
        key: names it within its strip.
        kind: the kind of the edges that end here.
        lines: its text.
    """

    key: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A memory, or one of the outermost level: loss, optimizer, parameters."""

    id: str
    kind: str  # memory | loss | optimizer | parameters
    title: str
    repeat: int = 1
    origin: str = ""  # the blocks that it stands in
    facts: Facts = ()
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A box alone (no title), or boxes in a frame with one strip of inputs."""

    id: str
    boxes: tuple[Box, ...]
    title: str = ""
    repeat: int = 1
    cells: tuple[Cell, ...] = ()

    @property
    def framed(self) -> bool:
        """Return whether the boxes share a frame."""
        return bool(self.title)


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A level."""

    row: LevelRow
    groups: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wire:
    """An edge between boxes, frames or the stream.

    Attributes:
        source: id of a box, or `STREAM`.
        target: id of a box or frame.
        kind: `flow`, `write`, `rate`, `init` or `task`.
        cell: key of the input where it ends; empty for the box as a whole.
    """

    source: str
    target: str
    kind: str
    cell: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A whole picture."""

    name: str
    doc: str
    bands: tuple[Band, ...]
    stream: str
    wires: tuple[Wire, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, outermost level first."""
        return tuple(group for band in self.bands for group in band.groups)
