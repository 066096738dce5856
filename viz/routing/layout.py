"""A view with every box, band and wire at its place, in points from the top left corner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nestgraph.viz.flows.view import Band, View, Wire
from nestgraph.viz.routing.lanes import stacked
from nestgraph.viz.routing.passages import Net
from nestgraph.viz.routing.place import GAPS, MARGIN, Places, Slot, placed
from nestgraph.viz.routing.route import Height, Route, Router
from nestgraph.viz.scene.measure import FRAME_HEAD, FRAME_PAD, BoxSize, Strip
from nestgraph.viz.scene.metrics import wrap
from nestgraph.viz.scene.shapes import Rect
from nestgraph.viz.scene.theme import LINE, TEXT_SIZE, TITLE_SIZE

LANE = 8  # between lanes of a street
CURB = 11  # between the outer lanes and the bands
BAND_PAD = 12
LEAST_BAND = 88  # four lines of title
STREAM_HEIGHT = 30
_SIDE_SHIFT = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedBox:
    """A box at its place."""

    size: BoxSize
    rect: Rect


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedGroup:
    """A group at its place; `strip` is the strip of a frame."""

    slot: Slot
    rect: Rect
    boxes: tuple[PlacedBox, ...]
    strip: Rect | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedBand:
    """A level at its place."""

    band: Band
    rect: Rect
    groups: tuple[PlacedGroup, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedWire:
    """A wire as a line with corners."""

    wire: Wire
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """All that is to be painted."""

    view: View
    width: float
    height: float
    doc: tuple[str, ...]
    title_width: float
    bands: tuple[PlacedBand, ...]
    stream: Rect
    wires: tuple[PlacedWire, ...]
    legend_top: float


def arranged(view: View) -> Picture:
    """Give everything in a view its place."""
    for gap in GAPS:
        places = placed(view, gap)
        router = Router(view, places)
        routes = router.routes()
        if not router.crowded:
            break
    lanes = stacked(router.lanes)
    right = max([places.right, *(x for route in routes for x, _ in route.corners)]) + 14
    doc = wrap(view.doc, right - 2 * MARGIN, TEXT_SIZE, lines=2)
    tops = _tops(places, lanes, MARGIN + TITLE_SIZE + 10 + LINE * len(doc))
    bands = tuple(_band(view, places, index, tops, right) for index in range(places.bands))
    stream = Rect(left=MARGIN, top=tops.stream, width=right - MARGIN, height=STREAM_HEIGHT)
    wires = [_wire(route, bands, tops, lanes) for route in routes]
    wires += [wire for band in bands for group in band.groups for wire in _inner(view, group)]
    return Picture(
        view=view,
        width=right + MARGIN,
        height=stream.bottom + 60,
        doc=doc,
        title_width=places.title_width,
        bands=bands,
        stream=stream,
        wires=tuple(wires),
        legend_top=stream.bottom + 16,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tops:
    """Upper ends of bands and of the streets above them."""

    streets: tuple[float, ...]
    bands: tuple[float, ...]
    heights: tuple[float, ...]
    stream: float


def _tops(places: Places, lanes: Mapping[tuple[int, Net], int], start: float) -> _Tops:
    streets: list[float] = []
    bands: list[float] = []
    heights: list[float] = []
    top = start
    for index in range(places.bands + 1):
        streets.append(top)
        count = max((lane + 1 for (street, _), lane in lanes.items() if street == index), default=0)
        top += _street(count) if count or index else 4
        if index < places.bands:
            bands.append(top)
            tallest = max((slot.size.height for slot in places.in_band(index)), default=0)
            heights.append(max(tallest + 2 * BAND_PAD, LEAST_BAND))
            top += heights[-1]
    return _Tops(streets=tuple(streets), bands=tuple(bands), heights=tuple(heights), stream=top)


def _street(lanes: int) -> float:
    return 2 * CURB + LANE * max(lanes - 1, 0)


def _band(view: View, places: Places, index: int, tops: _Tops, right: float) -> PlacedBand:
    rect = Rect(
        left=MARGIN, top=tops.bands[index], width=right - MARGIN, height=tops.heights[index]
    )
    groups = tuple(_group(slot, rect) for slot in places.in_band(index))
    return PlacedBand(band=view.bands[index], rect=rect, groups=groups)


def _group(slot: Slot, band: Rect) -> PlacedGroup:
    size = slot.size
    top = band.top + (band.height - size.height) / 2
    head = FRAME_HEAD if size.group.framed else 0
    boxes = []
    for box in size.boxes:
        left, right = slot.box_span(box)
        rect = Rect(left=left, top=top + head, width=right - left, height=box.height)
        boxes.append(PlacedBox(size=box, rect=rect))
    return PlacedGroup(
        slot=slot,
        rect=Rect(left=slot.left, top=top, width=size.width, height=size.height),
        boxes=tuple(boxes),
        strip=_frame_strip(slot, size.strip, top) if size.group.framed else None,
    )


def _frame_strip(slot: Slot, strip: Strip | None, top: float) -> Rect | None:
    if strip is None:
        return None
    return Rect(
        left=slot.left + FRAME_PAD,
        top=top + slot.size.height - FRAME_PAD - strip.height,
        width=sum(strip.widths),
        height=strip.height,
    )


def _wire(
    route: Route,
    bands: Sequence[PlacedBand],
    tops: _Tops,
    lanes: Mapping[tuple[int, Net], int],
) -> PlacedWire:
    points = [(float(x), _height(height, bands, tops, lanes)) for x, height in route.corners]
    return PlacedWire(wire=route.wire, points=tuple(_straightened(points)))


def _height(
    height: Height,
    bands: Sequence[PlacedBand],
    tops: _Tops,
    lanes: Mapping[tuple[int, Net], int],
) -> float:
    if height.lane is not None:
        return tops.streets[height.lane[0]] + CURB + LANE * lanes[height.lane]
    if height.slot is None:
        return tops.stream
    group = next(group for group in bands[height.slot.band].groups if group.slot is height.slot)
    if height.side == "top":
        return group.rect.top
    if height.side == "box":
        return group.boxes[height.index].rect.top
    if height.side == "strip" and group.strip is not None:
        return group.strip.bottom
    if height.side in ("bottom", "strip"):
        return group.rect.bottom
    middle = group.rect.top + group.rect.height / 2
    if height.side == "middle":
        return middle
    return group.rect.top + 16 + min(_SIDE_SHIFT * height.index, group.rect.height - 32)


def _straightened(points: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Return the corners without those that lie on the line between their neighbours."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and _in_line(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return iter(kept)


def _in_line(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return a[0] == b[0] == c[0] or a[1] == b[1] == c[1]


def _inner(view: View, group: PlacedGroup) -> Iterator[PlacedWire]:
    """Yield wires that stay in a frame: from its boxes down to the strip, and back up to each
    box.
    """
    if group.strip is None:
        return
    strip = group.strip
    spans = dict(group.slot.cell_spans())
    boxes = {box.size.box.id: box.rect for box in group.boxes}
    inner = [wire for wire in view.wires if wire.target == group.slot.size.group.id]
    for wire in inner:
        if wire.source in boxes and wire.cell:
            yield _down(wire, boxes[wire.source], spans[wire.cell], strip)
    kinds = {wire.kind for wire in inner if wire.cell}
    for kind, share in (("flow", 0.5), ("write", 0.75)):
        for name, rect in boxes.items() if kind in kinds else ():
            x = rect.left + rect.width * share
            back = Wire(source=group.slot.size.group.id, target=name, kind=kind)
            yield PlacedWire(wire=back, points=((x, strip.top), (x, rect.bottom)))


def _down(wire: Wire, box: Rect, cell: tuple[int, int], strip: Rect) -> PlacedWire:
    start = box.left + box.width * 0.25
    low, high = cell[0] + 8, cell[1] - 8
    end = min(max(start, low), high)
    street = (box.bottom + strip.top) / 2
    points = ((start, box.bottom), (start, street), (end, street), (end, strip.top))
    return PlacedWire(wire=wire, points=tuple(_straightened(points)))
