"""A scene as DOT source that holds every position.

Paint it with `neato -n2 -Tpng`; plain `dot` would find places of its own. Nodes are called n0,
n1, ...: names from a spec stand only in labels and tooltips, where they are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape as html_escape
from typing import TYPE_CHECKING

from nestgraph.viz.scene.shapes import Line, Point, Rect, Scene, Shape, Text
from nestgraph.viz.scene.splines import number
from nestgraph.viz.scene.theme import FONT, STROKES, Theme
from nestgraph.viz.writers.escape import legal, tip

if TYPE_CHECKING:
    from graphviz import Digraph


def to_dot(scene: Scene, theme: Theme) -> str:
    """Return the DOT source of a scene."""
    return _Writer(scene, theme).source()


class _Writer:
    """Writes one scene; y grows upwards in DOT and downwards in a scene."""

    def __init__(self, scene: Scene, theme: Theme) -> None:
        import graphviz  # only for those who draw

        self.scene = scene
        self.theme = theme
        self.names: dict[str, str] = {}
        self.held: dict[str, list[Shape]] = {}
        self.escape = graphviz.escape
        self.graph: Digraph = graphviz.Digraph(
            comment="paint with: neato -n2",
            graph_attr={
                "bgcolor": theme.colour("page"),
                "fontname": FONT,
                "outputorder": "edgesfirst",
                "pad": "0.1",
                "tooltip": " ",
            },
            node_attr={"fontname": FONT, "shape": "box", "margin": "0", "fixedsize": "true"},
            edge_attr={"fontname": FONT, "arrowsize": "0.7"},
        )

    def source(self) -> str:
        for shape in self.scene.shapes:
            self.held.setdefault(shape.inside, []).append(shape)
        self._fill(self.graph, "")
        for index, line in enumerate(self.scene.lines):
            self._line(index, line)
        source: str = self.graph.source
        return source

    def _fill(self, graph: Digraph, inside: str) -> None:
        for shape in self.held.get(inside, ()):
            if not shape.frame:
                self._node(graph, self._named(shape.id), shape)
                continue
            name = self._named(shape.id)
            with graph.subgraph(name=f"cluster_{name}") as cluster:
                cluster.attr(bb=self._bounds(shape.rect), **self._look(shape))
                # An edge may end at a frame: this holds the frame's texts, and its name.
                texts = Shape(id=shape.id, kind="title", rect=shape.rect, texts=shape.texts)
                self._node(cluster, name, texts)
                self._fill(cluster, shape.id)

    def _named(self, shape: str) -> str:
        return self.names.setdefault(shape, f"n{len(self.names)}")

    def _look(self, shape: Shape) -> Mapping[str, str]:
        style = [word for word, has in (("rounded", shape.radius), ("dashed", shape.dashed)) if has]
        more = {"class": f"{shape.kind} {shape.status}".strip()}
        more["tooltip"] = self.escape(legal(tip(shape.tip))) or " "
        if not shape.fill and not shape.line:
            return {**more, "style": "invis"} if shape.frame else {**more, "penwidth": "0"}
        colours = {"fillcolor": self.theme.colour(shape.fill)} if shape.fill else {}
        style += ["filled"] if shape.fill else []
        line = self.theme.colour(shape.line or shape.fill)
        return {**more, **colours, "color": line, "style": ",".join(style)}

    def _node(self, graph: Digraph, name: str, shape: Shape) -> None:
        rect = shape.rect
        content = label(shape, self.theme) if shape.texts else ""
        graph.node(
            name,
            label=f"<{content}>" if content else "",
            pos=self._place((rect.left + rect.width / 2, rect.top + rect.height / 2)),
            width=f"{rect.width / 72:.5g}",
            height=f"{rect.height / 72:.5g}",
            **self._look(shape),
        )

    def _line(self, index: int, line: Line) -> None:
        stroke = STROKES[line.kind]
        ends = [self.names.get(line.source, ""), self.names.get(line.target, "")]
        for at, point in enumerate((line.start, line.end)):
            if not ends[at]:  # a sample in the legend
                ends[at] = f"end{index}_{at}"
                place = self._place(point)
                self.graph.node(ends[at], label="", pos=place, shape="point", style="invis")
        marks = [f"s,{self._place(line.start)}"] if stroke.tail != "none" else []
        marks += [f"e,{self._place(line.end)}"] if stroke.head != "none" else []
        self.graph.edge(
            *ends,
            pos=" ".join([*marks, *map(self._place, line.path)]),
            tooltip=self.escape(legal(tip(line.tip))) or " ",
            color=self.theme.colour(line.kind if not line.status else f"{line.status}-line"),
            style=stroke.style,
            penwidth=number(stroke.width),
            arrowhead=stroke.head,
            arrowtail=stroke.tail,
            dir="forward" if stroke.tail == "none" else "both",
            **{"class": f"{line.kind} {line.status}".strip()},
        )

    def _place(self, point: Point) -> str:
        return f"{number(point[0])},{number(self.scene.height - point[1])}"

    def _bounds(self, rect: Rect) -> str:
        low, high = self._place((rect.left, rect.bottom)), self._place((rect.right, rect.top))
        return f"{low},{high}"


def label(shape: Shape, theme: Theme) -> str:
    """Return the texts of a shape as a table as large as the shape, with empty cells between
    them.
    """
    rows: list[str] = []
    at = 0
    for top, texts in _lines(shape):
        if top > at:
            rows.append(_row([_cell("", shape.rect.width, top - at)]))
        height = round(texts[0].height)
        rows.append(_row(_cells(texts, shape.rect, height, theme)))
        at = max(at, top) + height
    if at < round(shape.rect.height):
        rows.append(_row([_cell("", shape.rect.width, shape.rect.height - at)]))
    return f"{_TABLE}{''.join(rows)}</TABLE>"


_TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">'


def _lines(shape: Shape) -> list[tuple[int, list[Text]]]:
    """Return the texts by how far from the top they stand, each line from the left."""
    lines: dict[int, list[Text]] = {}
    for text in sorted(shape.texts, key=lambda text: (text.top, text.left)):
        lines.setdefault(round(text.top - shape.rect.top), []).append(text)
    return list(lines.items())


def _cells(texts: list[Text], rect: Rect, height: int, theme: Theme) -> Iterator[str]:
    at = rect.left
    ends = [text.left for text in texts[1:]] + [rect.right]
    for text, end in zip(texts, ends, strict=True):
        if text.left - at >= 1:
            yield _cell("", text.left - at, height)
        yield _cell(_font(text, theme), end - max(at, text.left), height)
        at = end


def _row(cells: Iterator[str] | list[str]) -> str:
    """Return each row is a table of its own, so that its cells need not stand below others."""
    return f"<TR><TD>{_TABLE}<TR>{''.join(cells)}</TR></TABLE></TD></TR>"


def _cell(content: str, width: float, height: float) -> str:
    size = f'FIXEDSIZE="TRUE" WIDTH="{max(1, round(width))}" HEIGHT="{max(1, round(height))}"'
    return f'<TD {size} ALIGN="LEFT">{content}</TD>'


def _font(text: Text, theme: Theme) -> str:
    # Graphviz looks for escapes in labels after it has resolved entities: one more backslash.
    inner = html_escape(legal(text.content)).replace("\\", "&#92;&#92;")
    if not inner:  # Graphviz refuses an empty element
        return ""
    inner = f"<B>{inner}</B>" if text.bold else inner
    return f'<FONT POINT-SIZE="{text.size:g}" COLOR="{theme.colour(text.ink)}">{inner}</FONT>'
