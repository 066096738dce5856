"""The levels of a system as an outline, for Mermaid and terminals."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.viz.flows.outline import Link, Outline, Part
from nestgraph.viz.flows.sources import STREAM
from nestgraph.viz.flows.view import Band, Box, Group, View
from nestgraph.viz.levels.level_scene import level_id
from nestgraph.viz.scene.measure import badge
from nestgraph.viz.scene.tones import tones


def level_outline(view: View) -> Outline:
    """Return a frame for each level, and below them the stream."""
    colours = tones([band.row for band in view.bands])
    bands = (
        _band(band, colours[band.row.clock.unit, band.row.clock.period]) for band in view.bands
    )
    facts = (("", view.stream),)
    stream = Part(id=STREAM, kind="stream", title="Context flow", facts=facts, tone="stream")
    links = tuple(
        Link(source=wire.source, target=wire.target, kind=wire.kind, cell=wire.cell)
        for wire in view.wires
    )
    return Outline(name=view.name, doc=view.doc, parts=(*bands, stream), links=links, rising=True)


def _band(band: Band, tone: str) -> Part:
    row = band.row
    return Part(
        id=level_id(row),
        kind="level",
        title=f"Level {row.rank}: {row.name}",
        facts=(("", f"{row.period}, frequency {row.frequency}"),),
        tone=tone,
        parts=tuple(part for group in band.groups for part in _group(group)),
    )


def _group(group: Group) -> Iterator[Part]:
    boxes = tuple(map(_box, group.boxes))
    if not group.framed:
        yield from boxes
        return
    yield Part(
        id=group.id,
        kind="frame",
        title=group.title,
        badge=badge(group.repeat),
        cells=group.cells,
        parts=boxes,
    )


def _box(box: Box) -> Part:
    where = (("in", box.origin),) if box.origin else ()
    return Part(
        id=box.id,
        kind=box.kind,
        title=box.title,
        badge=badge(box.repeat),
        facts=(*where, *box.facts),
        cells=box.cells,
    )
