"""Places for an outline: Graphviz finds them for boxes whose sizes are known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nestgraph.viz.flows.outline import Link, Outline, Part
from nestgraph.viz.levels.level_scene import centred, heading
from nestgraph.viz.routing.engine import DrawError, lay_out
from nestgraph.viz.routing.place import MARGIN
from nestgraph.viz.scene.frame_titles import clear
from nestgraph.viz.scene.legend import legend
from nestgraph.viz.scene.metrics import shorten, text_width, wrap, wrap_list
from nestgraph.viz.scene.shapes import Line, Point, Rect, Scene, Shape, Text
from nestgraph.viz.scene.theme import LINE, NAME_SIZE, PAD, STATES, STROKES, TEXT_SIZE, TITLE_SIZE

_KEY = 54  # column of the keys of facts
_VALUE = 150  # where values break
_NAME = 260  # where titles are cut
_HEAD = 17
_CELL = 20
_FRAME_HEAD = 20
_LEAST = 56  # width of a box
_PAGE = 360  # width of a picture
_LARGE = 400  # boxes and lines; of more, places are good and no longer the best
_MOST = 1_500  # boxes and lines; a reader finds nothing in so many, and places take too long


def flow_scene(outline: Outline) -> Scene:
    """Return the outline at its places.

    Raises:
        DrawError: if there is too much to draw, no program that finds places, or it fails.
    """
    size = _size(outline)
    if size > _MOST:
        raise DrawError(
            f"this picture would hold {size:,} boxes and lines; it can hold {_MOST:,}; close its "
            "blocks by `--depth 0`, draw what is near one node by `--focus NODE`, or write it as "
            "txt or mmd"
        )
    return _Layout(outline).scene()


def _size(outline: Outline) -> int:
    return sum(1 for _ in outline.all()) + len(outline.links)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Size:
    """A box with its texts broken into lines: (key, value)."""

    width: int
    height: int
    title: str
    lines: tuple[tuple[str, str], ...]
    cells: tuple[int, ...] = ()


@dataclass(slots=True)
class _Layout:
    outline: Outline
    sizes: dict[str, _Size] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)

    def scene(self) -> Scene:
        outline = self.outline
        for index, part in enumerate(outline.all()):
            self.names[part.id] = f"n{index}"
            self.parts[part.id] = part
            self.inside.update((inner.id, part.id) for inner in part.parts)
            if not part.parts:
                self.sizes[part.id] = _measured(part)
        laid = json.loads(lay_out(self._source()))
        right, top_edge = (float(number) for number in laid["bb"].split(",")[2:])
        notes = max((text_width(note, TEXT_SIZE) for note in outline.notes), default=0)
        width = max(right + 2 * MARGIN, math.ceil(notes) + 2 * MARGIN, _PAGE)
        doc = (*wrap(outline.doc, width - 2 * MARGIN, TEXT_SIZE, lines=2), *outline.notes)
        top = MARGIN + TITLE_SIZE + 14 + LINE * len(doc)
        ids = {name: part for part, name in self.names.items()}
        objects = {ids[key]: one for one in laid.get("objects", ()) for key in _key(one, ids)}

        def at(x: float, y: float) -> Point:
            return round(x + MARGIN, 2), round(top + top_edge - y, 2)

        lines = [_line(outline.links[int(edge["id"])], edge, at) for edge in laid.get("edges", ())]
        shapes = [heading(outline.name, doc, width - 2 * MARGIN)]
        for part in outline.all():
            shapes += self._shapes(part, objects[part.id], at, lines)
        shown = {link.kind for link in outline.links}
        states = {part.status for part in outline.all()} | {link.status for link in outline.links}
        samples = legend(shown, MARGIN, top + top_edge + 14, width - MARGIN, states)
        return Scene(
            name=outline.name,
            width=width,
            height=samples.bottom + MARGIN,
            shapes=(*shapes, *samples.shapes),
            lines=(*lines, *samples.lines),
        )

    def _source(self) -> str:
        links = (self._edge(index, link) for index, link in enumerate(self.outline.links))
        body = "\n".join([*(self._node(part) for part in self.outline.parts), *links])
        effort = ", nslimit=1" if _size(self.outline) > _LARGE else ""
        return (
            f"digraph {{ graph [nodesep=0.22, ranksep=0.4, remincross=true{effort}]\n"
            'node [shape=box, fixedsize=true, margin=0, label=""]\n'
            f"edge [arrowsize=0.7]\n{body}\n}}\n"
        )

    def _node(self, part: Part) -> str:
        name = self.names[part.id]
        if part.parts:
            title = _frame_title(part)
            need = math.ceil(text_width(title, TEXT_SIZE, bold=True)) + 8
            space = f'<TD FIXEDSIZE="TRUE" WIDTH="{need}" HEIGHT="{_FRAME_HEAD}"></TD>'
            label = f'<<TABLE BORDER="0" CELLBORDER="0"><TR>{space}</TR></TABLE>>'
            inner = "\n".join(self._node(held) for held in part.parts)
            return f"subgraph cluster_{name} {{ label={label}; margin=12\n{inner}\n}}"
        size = self.sizes[part.id]
        place = f'width="{size.width / 72:.6g}", height="{size.height / 72:.6g}"'
        if not size.cells:
            return f"{name} [{place}]"
        return f"{name} [shape=plain, fixedsize=false, label=<{_ports(size)}>]"

    def _edge(self, index: int, link: Link) -> str:
        stroke = STROKES[link.kind]
        target = self.names[link.target]
        cells = self.parts[link.target].cells
        port = next((at for at, cell in enumerate(cells) if cell.key == link.cell), None)
        more = [f'id="{index}"', f"arrowhead={stroke.head}", f"arrowtail={stroke.tail}"]
        more.append("dir=both" if stroke.tail != "none" else "dir=forward")
        if link.kind == "carry":
            more.append("constraint=false")
        end = target if port is None else f"{target}:p{port}:n"
        return f"{self.names[link.source]} -> {end} [{', '.join(more)}]"

    def _shapes(
        self, part: Part, placed: Mapping[str, Any], at: Any, lines: Sequence[Line]
    ) -> Iterator[Shape]:
        inside = self.inside.get(part.id, "")
        if part.parts:
            left, low, right, high = (float(number) for number in placed["bb"].split(","))
            (x, y), (u, v) = at(left, high), at(right, low)
            rect = Rect(left=x, top=y, width=u - x, height=v - y)
            yield _frame(part, rect, inside, lines)
            return
        size = self.sizes[part.id]
        x, y = at(*(float(number) for number in placed["pos"].split(",")))
        rect = Rect(
            left=x - size.width / 2, top=y - size.height / 2, width=size.width, height=size.height
        )
        yield from _box(part, size, rect, inside)


def _key(placed: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[str]:
    name = placed["name"].removeprefix("cluster_")
    if name in known:
        yield name


def _measured(part: Part) -> _Size:
    title = shorten(_signed(part), _NAME, NAME_SIZE, bold=True)
    keyed = any(key for key, _ in part.facts)
    lines = [
        (key if at == 0 else "", text)
        for key, value in part.facts
        for at, text in enumerate(wrap_list(value, _VALUE, TEXT_SIZE) or ("",))
    ]
    column = _KEY if keyed else 0
    widths = [text_width(title, NAME_SIZE, bold=True) + text_width(part.badge, TEXT_SIZE) + 10]
    widths += [column + text_width(text, TEXT_SIZE) for _, text in lines]
    cells = tuple(
        math.ceil(text_width(shorten(cell.lines[0], _VALUE, TEXT_SIZE), TEXT_SIZE) + 2 * PAD)
        for cell in part.cells
    )
    width = max(math.ceil(max(widths) + 2 * PAD), sum(cells), _LEAST)
    height = round(1.4 * PAD) + _HEAD + round(LINE * len(lines)) + (_CELL if cells else 0)
    return _Size(
        width=width,
        height=height,
        title=title,
        lines=tuple(lines),
        cells=tuple(_filled(cells, width)),
    )


def _filled(cells: Sequence[int], width: int) -> Iterator[int]:
    """Yield the cells made wider, to fill the width exactly."""
    if cells:
        share, rest = divmod(width - sum(cells), len(cells))
        yield from (cell + share + (at < rest) for at, cell in enumerate(cells))


def _ports(size: _Size) -> str:
    """Return a box with its inputs along the upper side, as the edges need to know them."""
    cells = "".join(
        f'<TD PORT="p{at}" FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="{_CELL}"></TD>'
        for at, width in enumerate(size.cells)
    )
    body = f'FIXEDSIZE="TRUE" WIDTH="{size.width}" HEIGHT="{size.height - _CELL}"'
    table = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">'
    return f'{table}<TR>{cells}</TR><TR><TD COLSPAN="{len(size.cells)}" {body}></TD></TR></TABLE>'


def _signed(part: Part) -> str:
    """Return the title, in a picture of differences with a sign that needs no colour."""
    return f"{STATES[part.status].sign} {part.title}" if part.status else part.title


def _frame_title(part: Part) -> str:
    return shorten(f"{_signed(part)} {part.badge}".rstrip(), 2 * _NAME, TEXT_SIZE, bold=True)


def _frame(part: Part, rect: Rect, inside: str, lines: Sequence[Line]) -> Shape:
    title = Text(
        content=_frame_title(part),
        left=rect.left + 10,
        top=rect.top + 4,
        height=16,
        size=TEXT_SIZE,
        bold=True,
        ink="faint",
    )
    title = clear(title, text_width(title.content, TEXT_SIZE, bold=True), rect, lines)
    paint = part.status or part.tone
    return Shape(
        id=part.id,
        kind="frame",
        rect=rect,
        fill=f"{paint}-fill",
        line=f"{paint}-line",
        radius=8,
        texts=(title,),
        inside=inside,
        frame=True,
        tip=part.id,
        status=part.status,
    )


def _box(part: Part, size: _Size, rect: Rect, inside: str) -> Iterator[Shape]:
    paint = part.status or part.tone
    yield Shape(
        id=part.id,
        kind=part.kind,
        rect=rect,
        fill=f"{paint}-fill" if paint != "block" else "paper",
        line=f"{paint}-line",
        radius=0 if part.kind == "write" else 4,
        dashed=part.kind == "closed",
        texts=tuple(_texts(part, size, rect)),
        inside=inside,
        tip=part.id,
        status=part.status,
    )
    left = rect.left
    for cell, width in zip(part.cells, size.cells, strict=True):
        place = Rect(left=left, top=rect.top, width=width, height=_CELL)
        text = shorten(cell.lines[0], _VALUE, TEXT_SIZE)
        yield Shape(
            id=f"{part.id} {cell.key}",
            kind=f"cell {cell.kind}",
            rect=place,
            fill=f"{cell.kind}-tint",
            line="faint",
            texts=tuple(centred((text,), place, cell.kind)),
            inside=inside,
            tip=f"{part.id} {cell.key}",
            owner=part.id,
        )
        left += width


def _texts(part: Part, size: _Size, rect: Rect) -> Iterator[Text]:
    left, top = rect.left + PAD, rect.top + 0.7 * PAD + (_CELL if size.cells else 0)
    yield Text(content=size.title, left=left, top=top, height=_HEAD, size=NAME_SIZE, bold=True)
    if part.badge:
        end = rect.right - PAD - math.ceil(text_width(part.badge, TEXT_SIZE))
        yield Text(content=part.badge, left=end, top=top, height=_HEAD, size=TEXT_SIZE, ink="faint")
    column = _KEY if any(key for key, _ in part.facts) else 0
    top += _HEAD
    for key, value in size.lines:
        if key:
            yield Text(content=key, left=left, top=top, height=LINE, size=TEXT_SIZE, ink="faint")
        yield Text(content=value, left=left + column, top=top, height=LINE, size=TEXT_SIZE)
        top += LINE


def _line(link: Link, edge: Mapping[str, Any], at: Any) -> Line:
    stroke = STROKES[link.kind]
    ends: dict[str, Point] = {}
    path: list[Point] = []
    for word in edge["pos"].split():
        *mark, x, y = word.split(",")
        if mark:
            ends[mark[0]] = at(float(x), float(y))
        else:
            path.append(at(float(x), float(y)))
    told = f"{stroke.meaning}: {link.source} to {link.target} {link.cell}".rstrip()
    return Line(
        kind=link.kind,
        source=link.source,
        target=link.target,
        path=tuple(path),
        start=ends.get("s", path[0]),
        end=ends.get("e", path[-1]),
        tip=f"{told}, {link.label}" if link.label else told,
        status=link.status,
    )
