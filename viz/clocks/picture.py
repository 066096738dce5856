"""Which level ticks when: a row for each level, a mark for each tick, over a span of positions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from nestgraph.analysis.levels import LevelRow, nested_levels
from nestgraph.language.system import Clock, System
from nestgraph.language.trainer import opened
from nestgraph.viz.levels.level_scene import heading, level_id
from nestgraph.viz.routing.engine import DrawError
from nestgraph.viz.routing.place import MARGIN
from nestgraph.viz.scene.metrics import shorten, text_width
from nestgraph.viz.scene.shapes import Rect, Scene, Shape, Text
from nestgraph.viz.scene.theme import NAME_SIZE, TEXT_SIZE, TITLE_SIZE
from nestgraph.viz.scene.tones import Ticks, tones

_COLUMNS = 128  # of the longest raster; longer spans put several positions in a column
_LEAST = 32  # positions that are shown unless asked otherwise
_FARTHEST = 10**12
_LABELS = 8  # numbers along the axis
_SPAN = re.compile(r"(?:(\d+):)?(\d+)(?: +(tokens|steps))?")
_ROW, _GAP = 40, 8
_WIDE, _NARROW = 16, 6  # widths of a column

Span = tuple[int, int, str]
"""First and last position, and their unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One level: whether it ticks within each column."""

    level: LevelRow
    tone: str
    ticks: tuple[bool, ...]

    @property
    def title(self) -> str:
        """`1 slow, every 16 steps`; of a clock that only the optimizer has, that it is so."""
        alone = " (optimizer)" if self.level.foreign else ""
        return f"{self.level.rank} {self.level.name}, {self.level.period}{alone}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """Some clocks over a span.

    Attributes:
        told: the span in words.
        unit: `tokens` or `steps`.
        first: the first position.
        each: positions in a column.
        labels: column and number, for the axis.
    """

    told: str
    unit: str
    first: int
    each: int
    rows: tuple[Row, ...]
    labels: tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """The clocks of a system."""

    name: str
    panels: tuple[Panel, ...]


def ticks_within(clock: Clock, first: int, last: int, unit: str, context: int) -> bool:
    """Return whether a clock ticks behind one of the positions first..last, counted from 1.

    A tick on tokens lies behind every position that its period divides. A step ends when
    `context` tokens of a row have been seen; seen from steps, a token clock ticks in each.
    """
    if clock.unit == "never":
        return False
    if clock.period == 0 or (unit == "steps" and clock.unit == "tokens"):
        return True
    period = clock.period * (context if clock.unit == "steps" and unit == "tokens" else 1)
    return last // period > (first - 1) // period


def raster(system: System, span: str | None = None) -> Raster:
    """Return the clocks of a system.

    Args:
        span: `64`, `100:164`, each with `tokens` or `steps` behind it if wanted. By default step
            clocks stand over steps and token clocks over tokens, two periods of the slowest.

    Raises:
        DrawError: if the span can't be read.
    """
    rows = nested_levels(opened(system))
    if span is not None:
        shown = [(rows, _span(rows, span))]
    else:
        inner = tuple(row for row in rows if row.clock.unit == "tokens")
        outer = tuple(row for row in rows if row not in inner)
        units = ((outer, "steps"), (inner, "tokens"))
        shown = [(some, (1, _two_periods(some), unit)) for some, unit in units if some]
    context, colours = system.training.context, tones(rows)
    panels = tuple(_panel(context, some, colours, over) for some, over in shown)
    return Raster(name=system.name, panels=panels)


def _two_periods(rows: Sequence[LevelRow]) -> int:
    return max([_LEAST, *(2 * row.clock.period for row in rows)])


def _panel(
    context: int, rows: Sequence[LevelRow], colours: Mapping[Ticks, str], span: Span
) -> Panel:
    first, last, unit = span
    width = ceil((last - first + 1) / _COLUMNS)
    starts = range(first, last + 1, width)

    def ticks(row: LevelRow) -> Iterator[bool]:
        for at in starts:
            yield ticks_within(row.clock, at, min(at + width - 1, last), unit, context)

    made = tuple(
        Row(level=row, tone=colours[row.clock.unit, row.clock.period], ticks=tuple(ticks(row)))
        for row in rows
    )
    told = f"{unit} {first:,} to {last:,}"
    told += f", {width:,} in a column" if width > 1 else ""
    mixed = unit == "tokens" and any(row.clock.unit == "steps" for row in rows)
    told += f"; a step ends every {context:,} tokens of a row" if mixed else ""
    every = max(1, ceil(len(starts) / _LABELS))
    labels = tuple((at, str(starts[at])) for at in range(0, len(starts), every))
    return Panel(told=told, unit=unit, first=first, each=width, rows=made, labels=labels)


def _span(rows: Sequence[LevelRow], given: str) -> Span:
    read = _SPAN.fullmatch(given.strip())
    first, last = (int(read[1] or 1), int(read[2])) if read else (1, 0)
    if read is None or not 1 <= first <= last or last > _FARTHEST:
        raise DrawError(
            f"`{given}` is no span; write `64`, `100:164`, `64 tokens` or `100:164 steps`"
        )
    moving = any(row.clock.unit == "tokens" for row in rows)
    return first, last, read[3] or ("tokens" if moving else "steps")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A panel at its place.

    Attributes:
        panel: what is shown.
        top: of the line that tells the span.
        rows: the band of each row.
        left: of the first column.
        column: width of a column.
        axis: top of the numbers below.
    """

    panel: Panel
    top: float
    rows: tuple[Rect, ...]
    left: float
    column: int
    axis: float


def placed(made: Raster) -> tuple[Placed, ...]:
    """Return every panel at its place, below each other."""
    rows = [row for panel in made.panels for row in panel.rows]
    sizes = ((NAME_SIZE, True), (TEXT_SIZE, False))
    label = max(
        ceil(text_width(text, size, bold=bold))
        for row in rows
        for text, (size, bold) in zip(_title(row), sizes, strict=True)
    )
    left = MARGIN + label + 32
    widths = [max(_NARROW, min(_WIDE, 1000 // _columns(panel))) for panel in made.panels]
    long = max(width * _columns(panel) for width, panel in zip(widths, made.panels, strict=True))
    top, found = MARGIN + TITLE_SIZE + 14.0, []
    for panel, width in zip(made.panels, widths, strict=True):
        tops = [top + 22 + at * (_ROW + _GAP) for at in range(len(panel.rows))]
        bands = (
            Rect(left=MARGIN, top=start, width=left + long + 10 - MARGIN, height=_ROW)
            for start in tops
        )
        axis = tops[-1] + _ROW + _GAP
        found.append(
            Placed(panel=panel, top=top, rows=tuple(bands), left=left, column=width, axis=axis)
        )
        top = axis + 30
    return tuple(found)


def raster_scene(made: Raster) -> Scene:
    """Return the raster at its places."""
    panels = placed(made)
    wide = panels[0].rows[0].width
    shapes = [heading(made.name, (), max(wide, 300))]
    for one in panels:
        shapes.append(_line_of_text(one.panel.told, MARGIN, one.top, wide))
        for row, band in zip(one.panel.rows, one.rows, strict=True):
            shapes += _row(row, band, one.left, one.column)
        for at, number in one.panel.labels:
            shapes.append(_line_of_text(number, one.left + at * one.column, one.axis, 60))
    return Scene(
        name=made.name,
        width=max(wide + 2 * MARGIN, 320),
        height=panels[-1].axis + 30,
        shapes=tuple(shapes),
        lines=(),
    )


def text_id(left: float, top: float) -> str:
    """Return the id of a line of text, by its place."""
    return f"text {left:g} {top:g}"


def _columns(panel: Panel) -> int:
    return len(panel.rows[0].ticks)


def _line_of_text(content: str, left: float, top: float, width: float) -> Shape:
    rect = Rect(left=left, top=top, width=width, height=16)
    text = Text(content=content, left=left, top=top, height=16, size=TEXT_SIZE, ink="faint")
    return Shape(id=text_id(left, top), kind="axis", rect=rect, texts=(text,))


def _title(row: Row) -> tuple[str, str]:
    held, trained_by = len(row.level.memories), len(row.level.optimizer)
    more = f", {held} {'memory' if held == 1 else 'memories'}" if held else ""
    more += f", {trained_by} of the optimizer" if trained_by else ""
    name = shorten(f"{row.level.rank}  {row.level.name}", 200, NAME_SIZE, bold=True)
    return name, f"{row.level.period}{more}"


def _row(row: Row, band: Rect, left: float, column: int) -> Iterator[Shape]:
    title = _title(row)
    name = level_id(row.level)
    texts = (
        Text(
            content=title[0],
            left=band.left + 10,
            top=band.top + 4,
            height=16,
            size=NAME_SIZE,
            bold=True,
        ),
        Text(
            content=title[1],
            left=band.left + 10,
            top=band.top + 20,
            height=16,
            size=TEXT_SIZE,
            ink="faint",
        ),
    )
    yield Shape(
        id=name,
        kind="level",
        rect=band,
        fill=f"{row.tone}-fill",
        line=f"{row.tone}-line",
        radius=6,
        texts=texts,
        frame=True,
        tip=row.title,
    )
    for at, tick in enumerate(row.ticks):
        if tick:
            place = Rect(left=left + at * column, top=band.top + 7, width=column - 1, height=26)
            paint = f"{row.tone}-line"
            yield Shape(id=f"{name} {at}", kind="tick", rect=place, fill=paint, inside=name)
