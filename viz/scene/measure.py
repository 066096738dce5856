"""How large boxes, strips and frames are, from their texts.

Everything is a whole number of points, so that renderers and tests agree to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nestgraph.viz.flows.view import Box, Cell, Group
from nestgraph.viz.scene.metrics import shorten, text_width, wrap_list
from nestgraph.viz.scene.theme import LINE, NAME_SIZE, PAD, TEXT_SIZE

LEAST_KEY, MOST_KEY = 54, 110  # widths of the column that says `net`, `objective`, `rule`
VALUE_WIDTH = 150  # where values of facts break
FRAMED_VALUE = 112  # the same in a frame, where boxes stand side by side
NAME_WIDTH = 210  # where names are cut
KEY_GAP = 8
CELL_WIDTH = 150
HEAD = 17  # a box's name
STRIP_PAD = 5
FRAME_PAD = 10
FRAME_HEAD = 20
COLUMN_GAP = 12
INNER_STREET = 30  # between the boxes of a frame and its strip


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """A row of inputs: what it says, and how wide each cell is."""

    cells: tuple[Cell, ...]
    widths: tuple[int, ...]
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BoxSize:
    """A box with its texts broken into lines."""

    box: Box
    width: int
    height: int
    title: str
    badge: str
    origin: str
    key_width: int
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    strip: Strip | None


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSize:
    """A group; in a frame each box has a column, and the strip spans them all.

    Attributes:
        columns: left end and width of each box's column, from the left of the group.
        owner: column of each cell of the strip.
    """

    group: Group
    width: int
    height: int
    boxes: tuple[BoxSize, ...]
    columns: tuple[tuple[int, int], ...]
    title: str
    strip: Strip | None
    owner: tuple[int, ...] = ()


def measured(group: Group, sources: Mapping[str, Sequence[str]]) -> GroupSize:
    """Return the size of a group; `sources` names the boxes that feed each cell of its strip."""
    if group.framed:
        return _frame(group, sources)
    box = _box(group.boxes[0], VALUE_WIDTH)
    return GroupSize(
        group=group,
        width=box.width,
        height=box.height,
        boxes=(box,),
        columns=((0, box.width),),
        title="",
        strip=box.strip,
        owner=(0,) * len(group.boxes[0].cells),
    )


def badge(repeat: int) -> str:
    """Return `×4` for what stands four times in the stack."""
    return f"×{repeat:,}" if repeat > 1 else ""


def _box(box: Box, breaks: int, least: int = 0) -> BoxSize:
    title = shorten(box.title, NAME_WIDTH, NAME_SIZE, bold=True)
    origin = shorten(box.origin, NAME_WIDTH, TEXT_SIZE)
    facts = tuple(
        (shorten(key, MOST_KEY - KEY_GAP, TEXT_SIZE), wrap_list(text, breaks, TEXT_SIZE))
        for key, text in box.facts
    )
    key_width = max([LEAST_KEY, *(math.ceil(text_width(k, TEXT_SIZE)) + KEY_GAP for k, _ in facts)])
    widths = [text_width(title, NAME_SIZE, bold=True) + 10, text_width(origin, TEXT_SIZE)]
    widths[0] += text_width(badge(box.repeat), NAME_SIZE, bold=True)
    widths += [key_width + text_width(line, TEXT_SIZE) for _, lines in facts for line in lines]
    strip = _strip(box.cells) if box.cells else None
    width = max(math.ceil(max(widths) + 2 * PAD), sum(strip.widths) if strip else 0, least)
    lines = sum(max(1, len(lines)) for _, lines in facts) + (1 if origin else 0)
    return BoxSize(
        box=box,
        width=width,
        height=round(2 * PAD) + HEAD + round(LINE * lines) + (strip.height if strip else 0),
        title=title,
        badge=badge(box.repeat),
        origin=origin,
        key_width=key_width,
        facts=facts,
        strip=_stretched(strip, width) if strip else None,
    )


def _strip(cells: Sequence[Cell]) -> Strip:
    texts = [tuple(shorten(line, CELL_WIDTH, TEXT_SIZE) for line in cell.lines) for cell in cells]
    widths = [
        math.ceil(max(text_width(line, TEXT_SIZE) for line in lines) + 2 * PAD) for lines in texts
    ]
    return Strip(
        cells=tuple(
            Cell(key=cell.key, kind=cell.kind, lines=lines)
            for cell, lines in zip(cells, texts, strict=True)
        ),
        widths=tuple(widths),
        height=round(LINE * max(len(lines) for lines in texts)) + 2 * STRIP_PAD,
    )


def _stretched(strip: Strip, width: int) -> Strip:
    """Return the strip with its cells widened to fill a width exactly."""
    spare = width - sum(strip.widths)
    share, rest = divmod(spare, len(strip.widths))
    widths = tuple(old + share + (index < rest) for index, old in enumerate(strip.widths))
    return Strip(cells=strip.cells, widths=widths, height=strip.height)


def _frame(group: Group, sources: Mapping[str, Sequence[str]]) -> GroupSize:
    widest = max(_box(box, FRAMED_VALUE).width for box in group.boxes)
    loose_sizes = [_box(box, FRAMED_VALUE, widest) for box in group.boxes]
    tallest = max(size.height for size in loose_sizes)
    sizes = tuple(replace(size, height=tallest) for size in loose_sizes)
    columns_of = _columns_of(group, sources)
    order = sorted(range(len(group.cells)), key=lambda index: columns_of[index])
    loose = _strip([group.cells[index] for index in order])
    owner = tuple(columns_of[index] for index in order)
    columns = _columns(widest, loose.widths, owner, len(sizes))
    inner = columns[-1][0] + columns[-1][1] - FRAME_PAD
    title = shorten(group.title, inner - 60, TEXT_SIZE, bold=True)
    title = f"{title} {badge(group.repeat)}".rstrip()
    return GroupSize(
        group=group,
        width=inner + 2 * FRAME_PAD,
        height=FRAME_HEAD + tallest + INNER_STREET + loose.height + FRAME_PAD,
        boxes=sizes,
        columns=columns,
        title=title,
        strip=_aligned(loose, owner, columns, inner),
        owner=owner,
    )


def _columns_of(group: Group, sources: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the column of each cell: below the box that feeds it, else below one that feeds
    none.
    """
    place = {box.id: column for column, box in enumerate(group.boxes)}
    chosen = [
        next((place[name] for name in sources.get(cell.key, ()) if name in place), None)
        for cell in group.cells
    ]
    empty = iter([column for column in place.values() if column not in chosen])
    return [next(empty, len(group.boxes) - 1) if column is None else column for column in chosen]


def _columns(
    box_width: int, widths: Sequence[int], owner: Sequence[int], count: int
) -> tuple[tuple[int, int], ...]:
    columns: list[tuple[int, int]] = []
    left = FRAME_PAD
    for column in range(count):
        cells = sum(width for width, at in zip(widths, owner, strict=True) if at == column)
        columns.append((left, max(box_width, cells)))
        left += columns[-1][1] + COLUMN_GAP
    return tuple(columns)


def _aligned(
    strip: Strip, owner: Sequence[int], columns: Sequence[tuple[int, int]], inner: int
) -> Strip:
    """Return the strip with each cell below its column; columns without cells go to the cell
    before.
    """
    widths = list(strip.widths)
    used = sorted(set(owner))
    starts = [FRAME_PAD, *(columns[column][0] - COLUMN_GAP // 2 for column in used[1:])]
    ends = [*starts[1:], FRAME_PAD + inner]
    for column, start, end in zip(used, starts, ends, strict=True):
        held = [index for index, at in enumerate(owner) if at == column]
        share, rest = divmod(end - start - sum(widths[index] for index in held), len(held))
        for place, index in enumerate(held):
            widths[index] += share + (place < rest)
    return Strip(cells=strip.cells, widths=tuple(widths), height=strip.height)
