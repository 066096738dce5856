"""A picture as DOT source that holds every position.

Paint it with `neato -n2 -Tsvg`; plain `dot` would find places of its own. Nodes are called
b0, b1, ...: names from a spec stand only in labels and tooltips, where they are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nestgraph.viz import labels
from nestgraph.viz.layout import Picture, PlacedBand, PlacedBox, PlacedGroup, PlacedWire, Rect
from nestgraph.viz.legend import Sample, samples
from nestgraph.viz.measure import FRAME_HEAD
from nestgraph.viz.metrics import shorten
from nestgraph.viz.place import MARGIN, title_lines
from nestgraph.viz.sources import STREAM
from nestgraph.viz.splines import Point, number, place, spline
from nestgraph.viz.theme import (
    FONT,
    FROZEN,
    OUTER,
    PAPER,
    RECOMPUTED,
    STROKES,
    TEXT_SIZE,
    TITLE_SIZE,
    Stroke,
    Tone,
    token_tone,
)
from nestgraph.viz.theme import STREAM as STREAM_TONE
from nestgraph.viz.view import Band, View

if TYPE_CHECKING:
    from graphviz import Digraph

_HEADS = {"normal": 7.0, "vee": 7.0, "odot": 5.6, "diamond": 8.4, "odiamond": 8.4, "none": 0.0}


def to_dot(picture: Picture) -> str:
    """The DOT source of a picture."""
    return _Writer(picture).source()


class _Writer:
    """Writes one picture; y grows upwards in DOT and downwards in a picture."""

    def __init__(self, picture: Picture) -> None:
        import graphviz  # only for those who draw

        self.picture = picture
        self.ids: dict[str, str] = {STREAM: "stream"}
        self.escape = graphviz.escape
        self.graph: Digraph = graphviz.Digraph(
            comment="paint with: neato -n2",
            graph_attr={
                "bgcolor": PAPER,
                "fontname": FONT,
                "outputorder": "edgesfirst",
                "pad": "0.1",
                "tooltip": " ",
            },
            node_attr={"fontname": FONT, "shape": "plain", "label": "", "tooltip": " "},
            edge_attr={"fontname": FONT, "arrowsize": "0.7"},
        )

    def source(self) -> str:
        picture = self.picture
        self._heading()
        tones = dict(_tones(picture.view))
        for index, band in enumerate(picture.bands):
            self._band(index, band, tones[index])
        self._stream()
        for index, wire in enumerate(picture.wires):
            self._wire(f"e{index}", wire)
        for sample in samples(picture):
            self._sample(sample)
        source: str = self.graph.source
        return source

    def _heading(self) -> None:
        picture = self.picture
        width = picture.width - 2 * MARGIN
        name = shorten(picture.view.name, width, TITLE_SIZE, bold=True)
        texts = [(name, TITLE_SIZE, True), *((line, TEXT_SIZE, False) for line in picture.doc)]
        height = sum(labels.line_height(size) for _, size, _ in texts)
        rect = Rect(left=MARGIN, top=MARGIN / 2, width=width, height=height)
        self._node("heading", rect, labels.lines(texts, width))

    def _band(self, index: int, band: PlacedBand, tone: Tone) -> None:
        row = band.band.row
        with self.graph.subgraph(name=f"cluster_{index}") as cluster:
            cluster.attr(
                bb=self._bb(band.rect),
                style="rounded,filled",
                fillcolor=tone.fill,
                color=tone.line,
                id=f"level{row.rank}",
                **{"class": "level"},
            )
            texts = title_lines(band.band)
            height = sum(labels.line_height(size) for _, size, _ in texts)
            title = Rect(
                left=band.rect.left + 12,
                top=band.rect.top + (band.rect.height - height) / 2,
                width=self.picture.title_width - 14,
                height=height,
            )
            content = labels.lines(texts, title.width)
            self._node(f"title{row.rank}", title, content, "title", graph=cluster)
            for nth, group in enumerate(band.groups):
                self._group(cluster, f"{index}_{nth}", group, tone)

    def _group(self, cluster: Digraph, name: str, group: PlacedGroup, tone: Tone) -> None:
        if group.strip is None:
            for box in group.boxes:
                self._box(cluster, box, tone)
            return
        size = group.slot.size
        with cluster.subgraph(name=f"cluster_{name}") as frame:
            frame.attr(
                bb=self._bb(group.rect),
                style="rounded,filled",
                fillcolor=PAPER,
                color=tone.line,
                **{"class": "frame"},
            )
            head = Rect(
                left=group.rect.left + 10,
                top=group.rect.top + 2,
                width=group.rect.width - 20,
                height=FRAME_HEAD - 3,
            )
            title = labels.right_aligned(size.title, head.width)
            self._node(f"frame{name}", head, title, "title", graph=frame)
            for box in group.boxes:
                self._box(frame, box, tone)
            if size.strip is not None:
                content = labels.strip(size.strip, "LTRB")
                self._named(frame, size.group.id, group.strip, content, "strip")

    def _box(self, graph: Digraph, box: PlacedBox, tone: Tone) -> None:
        content = labels.box(box.size, tone.line)
        self._named(graph, box.size.box.id, box.rect, content, box.size.box.kind)

    def _named(self, graph: Digraph, name: str, rect: Rect, content: str, kind: str) -> None:
        """A node that wires may end at."""
        self.ids[name] = f"b{len(self.ids)}"
        self._node(self.ids[name], rect, content, kind, tooltip=name, graph=graph)

    def _stream(self) -> None:
        rect = self.picture.stream
        with self.graph.subgraph(name="cluster_stream") as cluster:
            cluster.attr(
                bb=self._bb(rect),
                style="rounded,filled",
                fillcolor=STREAM_TONE.fill,
                color=STREAM_TONE.line,
                **{"class": "stream"},
            )
            inner = Rect(left=rect.left + 12, top=rect.top + 7, width=rect.width - 24, height=16)
            title = self.picture.title_width + 22
            text = shorten(self.picture.view.stream, inner.width - title, TEXT_SIZE)
            row = [
                labels.cell(labels.font("Context flow", TEXT_SIZE), title, 16),
                labels.cell(labels.font(text, TEXT_SIZE), inner.width - title, 16),
            ]
            self._node("stream", inner, labels.table([row]), "stream", graph=cluster)

    def _wire(self, name: str, wire: PlacedWire) -> None:
        kind = wire.wire.kind
        ends = self.ids[wire.wire.source], self.ids[wire.wire.target]
        self._edge(name, ends, wire.points, kind, tooltip=_told(wire))

    def _sample(self, sample: Sample) -> None:
        left, right = f"{sample.kind}_from", f"{sample.kind}_to"
        for name, x in ((left, sample.line[0][0]), (right, sample.line[1][0])):
            self._node(name, Rect(left=x, top=sample.line[0][1], width=0, height=0), "", "legend")
        content = labels.lines([(sample.text, TEXT_SIZE, False)], sample.rect.width)
        self._node(f"{sample.kind}_text", sample.rect, content, "legend")
        self._edge(f"legend_{sample.kind}", (left, right), sample.line, sample.kind, "legend")

    def _node(
        self,
        name: str,
        rect: Rect,
        content: str,
        kind: str = "text",
        tooltip: str = " ",
        graph: Digraph | None = None,
    ) -> None:
        middle = rect.left + rect.width / 2, self.picture.height - rect.top - rect.height / 2
        (self.graph if graph is None else graph).node(
            name,
            label=f"<{content}>" if content else "",
            pos=place(middle),
            width=f"{rect.width / 72:.5g}",
            height=f"{rect.height / 72:.5g}",
            tooltip=self.escape(labels.legal(tooltip)),
            **{"class": kind},
        )

    def _edge(
        self,
        name: str,
        ends: tuple[str, str],
        points: tuple[Point, ...],
        kind: str,
        more: str = "",
        tooltip: str = " ",
    ) -> None:
        stroke = STROKES[kind]
        flipped = [(x, self.picture.height - y) for x, y in points]
        self.graph.edge(
            *ends,
            id=name,
            pos=spline(flipped, _HEADS[stroke.head], _HEADS[stroke.tail]),
            tooltip=self.escape(labels.legal(tooltip)),
            **{"class": f"{kind} {more}".strip()},
            **_line(stroke),
        )

    def _bb(self, rect: Rect) -> str:
        height = self.picture.height
        low, high = height - rect.bottom, height - rect.top
        return f"{place((rect.left, low))},{place((rect.right, high))}"


def _line(stroke: Stroke) -> Mapping[str, str]:
    return {
        "color": stroke.colour,
        "style": stroke.style,
        "penwidth": number(stroke.width),
        "arrowhead": stroke.head,
        "arrowtail": stroke.tail,
        "dir": "forward" if stroke.tail == "none" else "both",
    }


def _told(wire: PlacedWire) -> str:
    kind = STROKES[wire.wire.kind].meaning
    return f"{kind}: {wire.wire.source} to {wire.wire.target} {wire.wire.cell}".rstrip()


def _tones(view: View) -> Iterator[tuple[int, Tone]]:
    """The colours of the levels: outer ones red, inner ones from blue to green."""
    moving = [index for index, band in enumerate(view.bands) if _counts_tokens(band)]
    for index, band in enumerate(view.bands):
        if index in moving:
            yield index, token_tone(moving.index(index), len(moving))
        elif band.row.clock.unit == "never":
            yield index, FROZEN
        else:
            yield index, OUTER if band.row.clock.unit == "steps" else RECOMPUTED


def _counts_tokens(band: Band) -> bool:
    return band.row.clock.unit == "tokens" and band.row.clock.period > 0
