"""The levels of a system as a scene."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from nestgraph.analysis.levels import LevelRow
from nestgraph.viz.flows.sources import STREAM
from nestgraph.viz.routing.layout import Picture, PlacedBand, PlacedBox, PlacedGroup, PlacedWire
from nestgraph.viz.routing.place import MARGIN, title_lines
from nestgraph.viz.scene.arrows import LENGTHS
from nestgraph.viz.scene.legend import legend
from nestgraph.viz.scene.measure import FRAME_HEAD, HEAD, Strip
from nestgraph.viz.scene.metrics import shorten, text_width
from nestgraph.viz.scene.shapes import Line, Rect, Scene, Shape, Text
from nestgraph.viz.scene.splines import curve
from nestgraph.viz.scene.theme import LINE, NAME_SIZE, PAD, STROKES, TEXT_SIZE, TITLE_SIZE
from nestgraph.viz.scene.tones import tones


def level_scene(picture: Picture) -> Scene:
    """Return everything in a picture of levels as shapes and lines."""
    shown = {wire.wire.kind for wire in picture.wires}
    samples = legend(shown, MARGIN, picture.legend_top, picture.width - MARGIN)
    shapes = [_heading(picture), *_bands(picture), *_stream(picture), *samples.shapes]
    return Scene(
        name=picture.view.name,
        width=picture.width,
        height=picture.height,
        shapes=tuple(shapes),
        lines=(*map(_line, picture.wires), *samples.lines),
    )


def heading(name: str, doc: tuple[str, ...], width: float) -> Shape:
    """Name and first lines of a spec, above everything."""
    title = shorten(name, width, TITLE_SIZE, bold=True)
    texts = [(title, TITLE_SIZE, True), *((line, TEXT_SIZE, False) for line in doc)]
    height = sum(_row(size) for _, size, _ in texts)
    rect = Rect(left=MARGIN, top=MARGIN / 2, width=width, height=height)
    return Shape(id="heading", kind="text", rect=rect, texts=tuple(rows(texts, rect)))


def rows(texts: list[tuple[str, float, bool]], rect: Rect) -> Iterator[Text]:
    """Yield lines of text below each other: content, size, and whether it is bold."""
    top = rect.top
    for content, size, bold in texts:
        height = _row(size)
        yield Text(content=content, left=rect.left, top=top, height=height, size=size, bold=bold)
        top += height


def level_id(row: LevelRow) -> str:
    """Return the id of the band of a level: by its clock, since ranks count what a view shows."""
    return f"level {row.period}"


def _row(size: float) -> float:
    return size + 6


def _heading(picture: Picture) -> Shape:
    return heading(picture.view.name, picture.doc, picture.width - 2 * MARGIN)


def _bands(picture: Picture) -> Iterator[Shape]:
    colours = tones([band.row for band in picture.view.bands])
    for band in picture.bands:
        row = band.band.row
        paint = colours[row.clock.unit, row.clock.period]
        name = level_id(row)
        yield Shape(
            id=name,
            kind="level",
            rect=band.rect,
            fill=f"{paint}-fill",
            line=f"{paint}-line",
            radius=10,
            frame=True,
            tip=f"level {row.rank}: {row.name}, {row.period}",
        )
        yield _band_title(picture, band, name)
        for group in band.groups:
            yield from _group(group, name, paint)


def _band_title(picture: Picture, band: PlacedBand, name: str) -> Shape:
    texts = list(title_lines(band.band))
    height = sum(_row(size) for _, size, _ in texts)
    rect = Rect(
        left=band.rect.left + 12,
        top=band.rect.top + (band.rect.height - height) / 2,
        width=picture.title_width - 14,
        height=height,
    )
    return Shape(
        id=f"{name} title", kind="title", rect=rect, texts=tuple(rows(texts, rect)), inside=name
    )


def _group(group: PlacedGroup, level: str, paint: str) -> Iterator[Shape]:
    size = group.slot.size
    inside = level
    if group.strip is not None:
        inside = size.group.id
        head = Rect(
            left=group.rect.left + 10,
            top=group.rect.top + 2,
            width=group.rect.width - 20,
            height=FRAME_HEAD - 3,
        )
        left = head.right - ceil(text_width(size.title, TEXT_SIZE, bold=True))
        title = Text(
            content=size.title,
            left=left,
            top=head.top,
            height=17,
            size=TEXT_SIZE,
            bold=True,
            ink="faint",
        )
        yield Shape(
            id=inside,
            kind="frame",
            rect=group.rect,
            fill="paper",
            line=f"{paint}-line",
            radius=8,
            texts=(title,),
            inside=level,
            frame=True,
            tip=size.group.title,
        )
    for box in group.boxes:
        yield from _box(box, inside, paint)
    if group.strip is not None and size.strip is not None:
        yield from _strip(size.strip, group.strip, size.group.id, inside)


def _box(box: PlacedBox, inside: str, paint: str) -> Iterator[Shape]:
    size, rect = box.size, box.rect
    yield Shape(
        id=size.box.id,
        kind=size.box.kind,
        rect=rect,
        fill="paper",
        line=f"{paint}-line",
        texts=tuple(_facts(box)),
        inside=inside,
        tip=size.box.id,
    )
    if size.strip is not None:
        foot = Rect(
            left=rect.left,
            top=rect.bottom - size.strip.height,
            width=rect.width,
            height=size.strip.height,
        )
        yield from _strip(size.strip, foot, size.box.id, inside)


def _facts(box: PlacedBox) -> Iterator[Text]:
    size, left = box.size, box.rect.left + PAD
    top = box.rect.top + PAD
    yield Text(content=size.title, left=left, top=top, height=HEAD, size=NAME_SIZE, bold=True)
    if size.badge:
        right = box.rect.right - PAD - ceil(text_width(size.badge, NAME_SIZE, bold=True))
        yield Text(
            content=size.badge,
            left=right,
            top=top,
            height=HEAD,
            size=NAME_SIZE,
            bold=True,
            ink="faint",
        )
    top += HEAD
    if size.origin:
        yield Text(
            content=size.origin, left=left, top=top, height=LINE, size=TEXT_SIZE, ink="faint"
        )
        top += LINE
    for key, texts in size.facts:
        yield Text(content=key, left=left, top=top, height=LINE, size=TEXT_SIZE, ink="faint")
        for text in texts or ("",):
            value = left + size.key_width
            yield Text(content=text, left=value, top=top, height=LINE, size=TEXT_SIZE)
            top += LINE


def _strip(strip: Strip, rect: Rect, owner: str, inside: str) -> Iterator[Shape]:
    """Yield a row of inputs; each cell in the colour of its edges."""
    left = rect.left
    for cell, width in zip(strip.cells, strip.widths, strict=True):
        place = Rect(left=left, top=rect.top, width=width, height=rect.height)
        yield Shape(
            id=f"{owner} {cell.key}",
            kind=f"cell {cell.kind}",
            rect=place,
            fill=f"{cell.kind}-tint",
            line="faint",
            texts=tuple(centred(cell.lines, place, cell.kind)),
            inside=inside,
            tip=f"{owner} {cell.key}",
            owner=owner,
        )
        left += width


def centred(lines: tuple[str, ...], rect: Rect, ink: str) -> Iterator[Text]:
    """Yield lines in the middle of a rectangle."""
    top = rect.top + (rect.height - LINE * len(lines)) / 2
    for line in lines:
        left = rect.left + (rect.width - ceil(text_width(line, TEXT_SIZE))) / 2
        yield Text(content=line, left=left, top=top, height=LINE, size=TEXT_SIZE, ink=ink)
        top += LINE


def _stream(picture: Picture) -> Iterator[Shape]:
    rect = picture.stream
    yield Shape(
        id="stream band",
        kind="stream",
        rect=rect,
        fill="stream-fill",
        line="stream-line",
        radius=10,
        frame=True,
    )
    inner = Rect(left=rect.left + 12, top=rect.top + 7, width=rect.width - 24, height=16)
    shift = picture.title_width + 22
    told = shorten(picture.view.stream, inner.width - shift, TEXT_SIZE)
    texts = tuple(
        Text(content=text, left=left, top=inner.top, height=16, size=TEXT_SIZE)
        for text, left in (("Context flow", inner.left), (told, inner.left + shift))
    )
    yield Shape(id=STREAM, kind="stream", rect=inner, texts=texts, inside="stream band")


def _line(placed: PlacedWire) -> Line:
    wire = placed.wire
    stroke = STROKES[wire.kind]
    bent = curve(placed.points, LENGTHS[stroke.head], LENGTHS[stroke.tail])
    return Line(
        kind=wire.kind,
        source=wire.source,
        target=wire.target,
        path=bent.path,
        start=bent.start,
        end=bent.end,
        tip=f"{stroke.meaning}: {wire.source} to {wire.target} {wire.cell}".rstrip(),
    )
