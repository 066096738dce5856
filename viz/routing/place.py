"""Where groups stand from left to right.

Bands are filled from the innermost level up, each group as near as it gets to the middle of
what feeds it, so that most of the context flow goes straight up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nestgraph.viz.flows.view import Band, View, Wire
from nestgraph.viz.scene.measure import BoxSize, GroupSize, measured
from nestgraph.viz.scene.metrics import shorten, text_width
from nestgraph.viz.scene.theme import NAME_SIZE, RANK_SIZE, TEXT_SIZE

MARGIN = 10
GUTTER = 34  # between the titles of the levels and the first group
GAPS = (36, 57, 78, 120, 200)  # between groups: the first in which all wires find room
_TITLE_PAD = 12
_WIDEST_TITLE = 190


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A group at its place in a band; `left` counts from the left of the picture."""

    band: int
    left: int
    size: GroupSize

    @property
    def right(self) -> int:
        """Right end."""
        return self.left + self.size.width

    @property
    def middle(self) -> int:
        """Middle between both ends."""
        return self.left + self.size.width // 2

    def column(self, index: int) -> tuple[int, int]:
        """Return left end and right end of the column of a box."""
        start, width = self.size.columns[index]
        return self.left + start, self.left + start + width

    def box_span(self, box: BoxSize) -> tuple[int, int]:
        """Return left end and right end of a box, in the middle of its column."""
        left, right = self.column(self.size.boxes.index(box))
        start = left + (right - left - box.width) // 2
        return start, start + box.width

    def cell_spans(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield key, left end and right end of each cell of the strip."""
        if self.size.strip is None:
            return
        left = self.left + (self.size.columns[0][0] if self.size.group.framed else 0)
        for cell, width in zip(self.size.strip.cells, self.size.strip.widths, strict=True):
            yield cell.key, (left, left + width)
            left += width


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """All groups at their places."""

    slots: tuple[Slot, ...]
    title_width: int
    right: int  # right end of the last group
    gap: int
    bands: int

    def in_band(self, band: int) -> Iterator[Slot]:
        """Return the groups of a band, from left to right."""
        return (slot for slot in self.slots if slot.band == band)


def title_lines(band: Band) -> tuple[tuple[str, float, bool], ...]:
    """Return the title of a level: text, size, and whether it is bold."""
    row = band.row
    return (
        (f"Level {row.rank}", RANK_SIZE, True),
        (shorten(row.name, _WIDEST_TITLE, NAME_SIZE, bold=True), NAME_SIZE, True),
        (row.period, TEXT_SIZE, False),
        (f"frequency {row.frequency}", TEXT_SIZE, False),
    )


def placed(view: View, gap: int) -> Places:
    """Give every group of a view its place, some points apart from the next."""
    title_width = _title_width(view)
    start = MARGIN + title_width + GUTTER
    feeds = _feeds(view.wires)
    sizes = {group.id: measured(group, feeds.get(group.id, {})) for group in view.groups}
    beside = dict(_beside(view, feeds, sizes, gap))
    slots: list[Slot] = []
    for index in reversed(range(len(view.bands))):
        left = start
        middles = {box.id: _middle(slot, box) for slot in slots for box in slot.size.group.boxes}
        for group in view.bands[index].groups:
            size = sizes[group.id]
            wanted = _wanted(group.id, feeds, middles)
            at = beside.get(group.id, 0) + start
            if wanted is not None:
                at = wanted - size.width // 2
            at = max(left, at)
            slots.append(Slot(band=index, left=at, size=size))
            left = at + size.width + gap
    return Places(
        slots=tuple(sorted(slots, key=lambda slot: (slot.band, slot.left))),
        title_width=title_width,
        right=max((slot.right for slot in slots), default=start),
        gap=gap,
        bands=len(view.bands),
    )


def _beside(
    view: View,
    feeds: Mapping[str, Mapping[str, Sequence[str]]],
    sizes: Mapping[str, GroupSize],
    gap: int,
) -> Iterator[tuple[str, int]]:
    """Yield how far right a group stands of the groups in slower levels that feed it.

    Right below them it would be in the way of what they are fed with.
    """
    home = {box.id: group.id for group in view.groups for box in group.boxes}
    above: set[str] = set()
    for band in view.bands:
        for group in band.groups:
            own = {box.id for box in group.boxes}
            over = {
                home[source]
                for sources in feeds.get(group.id, {}).values()
                for source in sources
                if home.get(source) in above
            }
            fed = [name for name in over if own.isdisjoint(_all_sources(feeds.get(name, {})))]
            if fed:
                yield group.id, max(sizes[name].width for name in fed) + gap
        above |= {group.id for group in band.groups}


def _all_sources(cells: Mapping[str, Sequence[str]]) -> set[str]:
    return {source for sources in cells.values() for source in sources}


def _middle(slot: Slot, box: object) -> int:
    size = next(size for size in slot.size.boxes if size.box is box)
    left, right = slot.box_span(size)
    return (left + right) // 2


def _title_width(view: View) -> int:
    widths = [
        text_width(text, size, bold=bold)
        for band in view.bands
        for text, size, bold in title_lines(band)
    ]
    return math.ceil(max([*widths, 90])) + 2 * _TITLE_PAD


def _feeds(wires: Sequence[Wire]) -> dict[str, dict[str, list[str]]]:
    """Return sources by target and cell."""
    feeds: dict[str, dict[str, list[str]]] = {}
    for wire in wires:
        if wire.kind not in ("init", "task"):
            cells = feeds.setdefault(wire.target, {})
            cells.setdefault(wire.cell, []).append(wire.source)
    return feeds


def _wanted(
    group: str, feeds: Mapping[str, Mapping[str, Sequence[str]]], middles: Mapping[str, int]
) -> int | None:
    """Return the middle of what feeds a group, as far as that has a place already."""
    near = [
        middles[source]
        for sources in feeds.get(group, {}).values()
        for source in sources
        if source in middles
    ]
    return sum(near) // len(near) if near else None
