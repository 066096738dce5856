"""The flows inside blocks: every op, read and write of a graph, in frames of blocks.

A memory shows its two sides: what is read from it stands where the answer is used, what is
written to it in one box with its inputs. Memories that write alike share that box, and a `then`
chain is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nestgraph.analysis.levels import LevelRow, instances
from nestgraph.analysis.run_length import Rolled, Run
from nestgraph.display.describe import aim, local
from nestgraph.language.system import Region, System
from nestgraph.viz.flows.outline import RUN, Link, Outline, Part
from nestgraph.viz.flows.view import Cell
from nestgraph.viz.scene.boxes import given_text, role_of
from nestgraph.viz.scene.measure import badge
from nestgraph.viz.scene.tones import tones

if TYPE_CHECKING:
    import networkx as nx

Place = tuple[str, str]
"""A layer, and the prefix of a block in it."""

_CHAIN = re.compile(r"(.*)\.(base|then\d+)")
_FACTS = ("net", "objective", "rule", "level")
_LISTED = 3  # fields of an op that are written out


def block_outline(graph: nx.MultiDiGraph[str], system: System) -> Outline:
    """Return everything that flows; `graph` was built with `roll=True`."""
    return _Blocks(graph, system).outline()


class _Blocks:
    def __init__(self, graph: nx.MultiDiGraph[str], system: System) -> None:
        self.graph = graph
        rows: tuple[LevelRow, ...] = graph.graph["levels"]
        self.tones = tones(rows)
        self.regions: dict[str, tuple[Region, ...]] = {
            path: block.regions for path, block in instances(system)
        }
        self.rolled: Mapping[str, Rolled] = graph.graph.get("rolled", {})
        self.runs: dict[str, Run] = {}
        self.blocks = {path: block.name for path, block in instances(system)}
        starts = {source for source, _, edge in graph.edges(data=True) if edge["role"] == "from"}
        self.names = [
            name for name, node in graph.nodes(data=True) if _is_shown(node) and name not in starts
        ]
        self.homes = {name: self._home(name) for name in self.names}
        self._share_homes()

    def _share_homes(self) -> None:
        """Give memories of a block that store the same, by the same rule, one box."""
        first: dict[object, str] = {}
        for name in self.names:
            node = self.graph.nodes[name]
            given = frozenset(
                (source, edge["kind"], edge["role"])
                for source, _, edge in self.graph.in_edges(name, data=True)
                if edge["kind"] in ("write", "rate") or edge["role"] == "through"
            )
            if node["kind"] == "write" and given:
                facts = tuple(node[key] for key in (*_FACTS, "init", "period", "unit", "reset"))
                self.homes[name] = first.setdefault((node["layer"], given, facts), name)

    def outline(self) -> Outline:
        chains: dict[str, list[str]] = {}
        for name in self.names:
            chains.setdefault(self.homes[name], []).append(name)
        tree: dict[Place, Any] = {}
        for home, members in chains.items():
            around = tree
            for frame in (*self._runs(home), *self._frames(home)):
                around = around.setdefault(frame, {})
            around[home, ""] = self._part(home, members)
        return Outline(
            name=self.graph.graph["name"],
            doc=self.graph.graph["doc"],
            parts=tuple(self._parts(tree)),
            links=tuple(dict.fromkeys(self._links())),
        )

    def _parts(self, tree: Mapping[Place, Any]) -> Iterator[Part]:
        for place, content in tree.items():
            if isinstance(content, Part):
                yield content
                continue
            yield self._frame(*place, tuple(self._parts(content)))

    def _frame(self, layer: str, prefix: str, parts: tuple[Part, ...]) -> Part:
        if layer in self.runs:
            run = self.runs[layer]
            title = f"{run.length} layers in turn"
            return Part(id=layer, kind=RUN, title=title, badge=badge(run.times), parts=parts)
        if not prefix:
            node = next(node for _, node in self.graph.nodes(data=True) if _in(node, layer))
            more = f", for {node['group']}" if "group" in node else ""
            return Part(
                id=layer,
                kind="block",
                title=f"{self.blocks[layer]}{more}",
                badge=badge(self.rolled[layer].in_a_row if layer in self.rolled else 1),
                parts=parts,
            )
        block = next(one.block for one in self.regions[layer] if one.prefix == prefix)
        title = f"{local(prefix)}: {block}"
        return Part(id=f"{layer}/{prefix}", kind="block", title=title, parts=parts)

    def _runs(self, home: str) -> Iterator[Place]:
        """Yield the frames of layers that repeat as a whole, the outer ones first."""
        rolled = self.rolled.get(self.graph.nodes[home].get("layer", ""))
        for depth, run in enumerate(rolled.runs if rolled is not None else ()):
            name = f"{run.first}/in turn" + "'" * depth
            self.runs[name] = run
            yield name, ""

    def _frames(self, home: str) -> Iterator[Place]:
        """Yield the frames around a node, the outer ones first."""
        layer = self.graph.nodes[home].get("layer")
        if layer is None:
            return
        yield layer, ""
        name = home.removeprefix(f"{layer}/")
        around = [one.prefix for one in self.regions[layer] if name.startswith(f"{one.prefix}.")]
        yield from ((layer, prefix) for prefix in sorted(filter(None, around), key=len))

    def _home(self, name: str) -> str:
        """Return the node whose box holds this one: the end of its chain, or itself."""
        stem = whole(name)
        return stem if stem in self.graph else name

    def _part(self, home: str, members: Sequence[str]) -> Part:
        node = self.graph.nodes[home]
        if node["kind"] == "write":
            return self._write(home, node, members)
        kinds = [self.graph.nodes[name]["kind"] for name in members]
        read = kinds.index("read") if "read" in kinds else None
        asked = members[0] if read is None else members[read]
        kind = node["kind"] if read is None else "read"
        tone = self._tone(self._source(asked)) if kind == "read" else _TONES.get(kind, "block")
        return Part(
            id=home,
            kind=kind,
            title=local(node.get("name", home)),
            badge=str(node["width"]) if node.get("width") else "",
            facts=tuple(("", line) for name in members for line in self._lines(name)),
            tone=tone,
            members=tuple(name for name in members if name != home),
        )

    def _source(self, read: str) -> Mapping[str, Any]:
        node = self.graph.nodes[read]
        return self.graph.nodes[f"{node['layer']}/{node['memory']}.write"]

    def _tone(self, node: Mapping[str, Any]) -> str:
        return self.tones.get((node["unit"], node["period"]), "block")

    def _lines(self, name: str) -> Iterator[str]:
        node = self.graph.nodes[name]
        match node["kind"]:
            case "op" | "norm":
                yield op_text(node)
            case "read":
                task = self._source(name)["objective_kind"] == "task"
                yield f"read {local(node['memory'])}, {_WHEN['boundary' if task else node['at']]}"
            case "embed":
                yield f"{node['vocab']} tokens"
            case "head":
                vocab = self.graph.nodes["embed"]["vocab"]
                own = "linear" if node["width"] == vocab else f"linear to {node['width']}"
                yield "tied to the embedding" if node["tie"] else own
            case "loss" if "head" in self.graph:
                yield aim(self.graph.nodes["embed"]["vocab"], self.graph.nodes["head"]["width"])

    def _write(self, name: str, node: Mapping[str, Any], members: Sequence[str]) -> Part:
        facts = [(key, node[key]) for key in ("net", "objective", "rule")]
        facts.append(("level", f"{node['level']}, {node['frequency']}"))
        count = len(members)
        if node["init"] not in ("learned", "empty"):
            facts.append(("start", node["init"]))
        return Part(
            id=name,
            kind="write",
            title=", ".join(local(self.graph.nodes[member]["memory"]) for member in members),
            badge="memory" if count == 1 else f"{count} memories",
            facts=tuple(facts),
            cells=tuple(self._cells(name, node)),
            tone=self._tone(node),
            members=tuple(member for member in members if member != name),
        )

    def _cells(self, name: str, node: Mapping[str, Any]) -> Iterator[Cell]:
        roles: dict[str, list[Mapping[str, Any]]] = {}
        for _, _, edge in self.graph.in_edges(name, data=True):
            if edge["kind"] in ("write", "rate") or edge["role"] == "through":
                roles.setdefault(role_of(edge), []).append(edge)
        for role, edges in roles.items():
            text = given_text(edges, node["values"])
            yield Cell(key=role, kind=edges[0]["kind"], lines=(text,))

    def _links(self) -> Iterator[Link]:
        for source, target, edge in self.graph.edges(data=True):
            if edge["kind"] == "init" and edge["role"] == "from":
                node = self.graph.nodes[source]
                source = f"{node['layer']}/{node['memory']}.write"
            ends = self.homes.get(source), self.homes.get(target)
            if ends[0] is None or ends[1] is None or ends[0] == ends[1] or _is_hidden(edge):
                continue
            cell = role_of(edge) if edge["kind"] in ("write", "rate", "task") else ""
            known = edge["kind"] != "task" or edge["role"] == "through"
            label = edge["level"] if edge["kind"] == "carry" else ""
            yield Link(
                source=ends[0],
                target=ends[1],
                kind=edge["kind"],
                cell=cell if known else "",
                label=label,
            )


_TONES = {
    "embed": "stream",
    "input": "stream",
    "head": "stream",
    "norm": "stream",
    "loss": "outer",
}
_WHEN = {"after": "after its write", "before": "before its write", "boundary": "as of its tick"}


def whole(name: str) -> str:
    """Return the name that an author gave a `then` chain: `q` for `q.base` and `q.then0`."""
    link = _CHAIN.fullmatch(name)
    return name if link is None else link[1]


def op_text(node: Mapping[str, Any]) -> str:
    """Return `conv, width 4`."""
    fields = node.get("fields") or {}
    given = [f"{key} {_value(value)}" for key, value in fields.items() if _is_said(key, value)]
    tie = [f"tied to {local(node['tie'])}"] if node["kind"] == "op" and node["tie"] else []
    return ", ".join([str(node["op"]), *given[:_LISTED], *tie])


def _is_said(key: str, value: object) -> bool:
    return value is not None and value is not False and not (key == "heads" and value == 1)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return "yes" if value is True else str(value)


def _is_shown(node: Mapping[str, Any]) -> bool:
    """Return what trains a model is shown by another view."""
    return node["kind"] not in ("parameters", "optimizer")


def _is_hidden(edge: Mapping[str, Any]) -> bool:
    """Return what the levels tell better: who trains whom, and states that stay where they are."""
    trained = edge["kind"] == "task" and edge["role"] == "loss" and "flow" not in edge
    return trained or (edge["kind"] == "carry" and edge["role"] == "state")


def _in(node: Mapping[str, Any], layer: str) -> bool:
    found: bool = node.get("layer") == layer
    return found
