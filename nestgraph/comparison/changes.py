"""What differs between two specs, as data, as text and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nestgraph.analysis.costs import Cost
from nestgraph.display.registry import display
from nestgraph.display.wording import count, size

Kind = Literal["added", "removed", "changed"]
_MANY = 3  # nodes that differ alike, from which on they are told together
SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A named value that differs; None where there is none."""

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.name}: {self.new}"
        return f"{self.name}: {self.old}" + ("" if self.new is None else f" -> {self.new}")

    @property
    def change(self) -> Kind:
        """Return what became of the value."""
        if self.old is None:
            return "added"
        return "removed" if self.new is None else "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeChange:
    """A node of the graph that differs.

    Attributes:
        change: what became of it.
        kind: as in the graph; `write` stands for a memory.
        old: its id in the old graph.
        new: its id in the new graph.
        attributes: the values that differ; empty for a node that is added or removed.
    """

    change: Kind
    kind: str
    old: str | None
    new: str | None
    attributes: tuple[Change, ...] = ()

    @property
    def id(self) -> str:
        """Its id in the new graph, or in the old one if it is gone."""
        return self.new or self.old or ""

    @property
    def name(self) -> str:
        """Its id as text tells it: a memory without the side of it that is written."""
        return self.id.removesuffix(".write")


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeChange:
    """An edge of the graph that differs; its ends are ids of the graph that has it."""

    change: Kind
    kind: str
    role: str
    source: str
    target: str
    attributes: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diff:
    """All that differs between two specs; true if anything does.

    Attributes:
        old: the name of the one.
        new: the name of the other.
        levels: clocks by name.
        stack: layers, told by the path of the first of equal repeats, and how often they repeat.
        renamed: what is called otherwise inside a layer and is the same; the layer is told first.
        nodes: of the graphs, with equal repeats told once.
        edges: of the same graphs.
        training: settings of the outermost level.
        optimizer: what differs between the optimizers of two models; None if nothing does.
        costs: of the whole models, the old one's and the new one's.
    """

    old: str
    new: str
    levels: tuple[Change, ...] = ()
    stack: tuple[Change, ...] = ()
    renamed: tuple[Change, ...] = ()
    nodes: tuple[NodeChange, ...] = ()
    edges: tuple[EdgeChange, ...] = ()
    training: tuple[Change, ...] = ()
    optimizer: Diff | None = None
    costs: tuple[Cost, Cost]

    def __bool__(self) -> bool:
        told = (self.levels, self.stack, self.renamed, self.nodes, self.edges, self.training)
        return any(told) or self.optimizer is not None

    def __str__(self) -> str:
        return "\n".join(lines(self))

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for programs; costs stand beside their differences."""
        told = {key: value for key, value in dataclasses.asdict(self).items() if key != "costs"}
        for key in ("levels", "stack", "renamed", "training"):
            told[key] = [
                {"change": change.change, **dataclasses.asdict(change)}
                for change in getattr(self, key)
            ]
        told["optimizer"] = None if self.optimizer is None else self.optimizer.as_json()
        old, new = self.costs
        values = {
            "parameters": (old.parameters, new.parameters),
            "state_bytes": (old.state_bytes, new.state_bytes),
            "flops_per_token": (old.flops, new.flops),
        }
        told["costs"] = {
            name: {"old": before, "new": after, "difference": after - before}
            for name, (before, after) in values.items()
        }
        return told

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return display("diff", self)


def lines(diff: Diff) -> Iterator[str]:
    """Yield the text of a diff, a line a change; values that differ stand indented under their
    node.

    What came or went with a whole layer is not told again, and nodes that differ alike stand
    together.
    """
    yield f"{diff.old} -> {diff.new}"
    if not diff:
        yield "no differences"
    yield from _parts(diff)
    training = [f"{SIGNS[change.change]} {change}" for change in diff.training]
    yield from _section("training", training)
    if diff.optimizer is not None:
        inside = [line.strip("\n") for line in _parts(diff.optimizer)]
        yield from _section(f"optimizer {diff.optimizer.old} -> {diff.optimizer.new}", inside)
    yield from _section("costs", list(cost_lines(diff)))


def _parts(diff: Diff) -> Iterator[str]:
    listed = (("levels", diff.levels), ("stack", diff.stack), ("renamed", diff.renamed))
    for title, changes in listed:
        yield from _section(title, [f"{SIGNS[change.change]} {change}" for change in changes])
    yield from _section("nodes", list(_node_lines(diff)))
    yield from _section("edges", [line for edge in _own_edges(diff) for line in _edge(edge)])


def _section(title: str, body: list[str]) -> Iterator[str]:
    if body:
        yield f"\n{title}"
        yield from (f"  {line}" for line in body)


def _node_lines(diff: Diff) -> Iterator[str]:
    groups: dict[tuple[Change, ...], list[NodeChange]] = {}
    for node in diff.nodes:
        if not _whole_layer(diff, node.change, node.id):
            groups.setdefault(node.attributes, []).append(node)
    for attributes, nodes in groups.items():
        if not attributes or len(nodes) < _MANY:
            yield from (line for node in nodes for line in _node(node))
            continue
        yield f"{SIGNS['changed']} {len(nodes)} nodes alike"
        yield from (f"    {change}" for change in attributes)
        yield f"    of {', '.join(node.name for node in nodes)}"


def _node(node: NodeChange) -> Iterator[str]:
    kind = "memory" if node.kind == "write" else node.kind
    moved = f", was {node.old}" if node.old and node.new and node.old != node.new else ""
    yield f"{SIGNS[node.change]} {node.name}  {kind}{moved.removesuffix('.write')}"
    yield from (f"    {change}" for change in node.attributes)


def _own_edges(diff: Diff) -> Iterator[EdgeChange]:
    for edge in diff.edges:
        if not any(_whole_layer(diff, edge.change, end) for end in (edge.source, edge.target)):
            yield edge


def _whole_layer(diff: Diff, change: Kind, node: str) -> bool:
    """Return whether a node came or went with its layer."""
    return any(
        layer.change == change != "changed" and node.startswith(f"{layer.name}/")
        for layer in diff.stack
    )


def _edge(edge: EdgeChange) -> Iterator[str]:
    ends = f"{edge.source} -> {edge.target}"
    yield f"{SIGNS[edge.change]} {ends}  {edge.kind} {edge.role}"
    yield from (f"    {change}" for change in edge.attributes)


def cost_lines(diff: Diff) -> Iterator[str]:
    """Yield `parameters: 795,296 -> 1,176,496 (+47.9%)`, and the like of state and FLOPs."""
    old, new = diff.costs
    rows: tuple[tuple[str, float, float, Callable[[Any], str]], ...] = (
        ("parameters", old.parameters, new.parameters, "{:,}".format),
        ("state of a sequence", old.state_bytes, new.state_bytes, size),
        ("FLOPs a token", old.flops, new.flops, count),
    )
    for name, before, after, shown in rows:
        share = f" ({after / before - 1:+.1%})" if before else ""
        became = ", the same" if before == after else f" -> {shown(after)}{share}"
        yield f"{name}: {shown(before)}{became}"
