"""Boxes of a view: the memories of a graph and what trains them, with their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nestgraph.display.describe import aim, local
from nestgraph.viz.flows.sources import PARAMETERS, SCHEDULE, memory_id
from nestgraph.viz.flows.view import Box, Cell, Facts

if TYPE_CHECKING:
    import networkx as nx

LOSS, OPTIMIZER = "loss", "optimizer"

_CELLS = {"flow": "query", "write": "stored", "rate": "rates", "task": "step"}
_WEIGHTS = ("linear", "conv", "rms_norm", "layer_norm", "bias", "gain", "decay", "lookup")
_LISTED = 5  # blocks whose weights are listed

Edge = tuple[str, Mapping[str, Any]]


def memories(graph: nx.MultiDiGraph[str]) -> dict[str, str]:
    """Write node by memory id, in the order of the model."""
    return {
        memory_id(attributes): name
        for name, attributes in graph.nodes(data=True)
        if attributes["kind"] == "write"
    }


def inputs(graph: nx.MultiDiGraph[str], write: str) -> tuple[Edge, ...]:
    """Return what flows give a memory's write: (flow, edge) for keys, values, rates and a step."""
    return tuple(
        (source, edge)
        for source, _, edge in graph.in_edges(write, data=True)
        if edge["kind"] in ("write", "rate") or edge["role"] == "through"
    )


def queries(graph: nx.MultiDiGraph[str]) -> dict[str, tuple[str, ...]]:
    """Return the flows that each memory is asked with, by memory id."""
    asked: dict[str, dict[str, None]] = {}
    for _, attributes in graph.nodes(data=True):
        if attributes["kind"] == "read" and attributes["query"] is not None:
            flow = f"{attributes['layer']}/{attributes['query']}"
            asked.setdefault(memory_id(attributes), {})[flow] = None
    return {memory: tuple(flows) for memory, flows in asked.items()}


def memory_box(attributes: Mapping[str, Any], cells: tuple[Cell, ...], framed: bool) -> Box:
    """Return the box of a memory, from the attributes of its write."""
    name = attributes["memory"]
    return Box(
        id=memory_id(attributes),
        kind="memory",
        title=local(name) if framed else name,
        repeat=1 if framed else attributes["repeat"],
        origin="" if framed else origin(attributes),
        facts=_memory_facts(attributes),
        cells=cells,
    )


def origin(attributes: Mapping[str, Any]) -> str:
    """Return the blocks that a memory stands in: `cms_level in hope`; `mamba, in turn` with
    others.
    """
    inner, outer = attributes["region"], attributes["block"]
    where = outer if inner == outer else f"{inner} in {outer}"
    where += ", in turn" if attributes.get("in_turn") else ""
    return f"{where}, for {attributes['group']}" if "group" in attributes else where


def _memory_facts(attributes: Mapping[str, Any]) -> Facts:
    facts = [(key, attributes[key]) for key in ("net", "objective", "rule")]
    start = attributes["init"]
    if attributes["reset"] != "never":
        start += f", again every {attributes['reset']}"
    if start not in ("learned", "empty"):
        facts.append(("start", start))
    return tuple(facts)


def strip(edges: Sequence[Edge], asked: Sequence[str], values: str) -> tuple[Cell, ...]:
    """Return the inputs of a box: one cell a kind."""
    kinds = dict.fromkeys(edge["kind"] for _, edge in edges)
    cells = [Cell(key=_CELLS["flow"], kind="flow", lines=(query_text(asked),))] if asked else []
    for kind in kinds:
        given = [edge for _, edge in edges if edge["kind"] == kind]
        roles = dict.fromkeys(role_of(edge) for edge in given)
        texts = [given_text([e for e in given if role_of(e) == role], values) for role in roles]
        cells.append(Cell(key=_CELLS[kind], kind=kind, lines=tuple(texts)))
    return tuple(cells)


def role_of(edge: Mapping[str, Any]) -> str:
    """Return the role of an edge without a number: `keys` for `keys 0`."""
    role: str = edge["role"]
    return role.split(" ")[0]


def cell_of(kind: str) -> str:
    """Return the key of the cell where a box takes edges of a kind."""
    return _CELLS[kind]


def query_text(asked: Sequence[str]) -> str:
    """Return `query c, q`."""
    names = dict.fromkeys(local(flow.rsplit("/", 1)[-1]) for flow in asked)
    return f"query {', '.join(names)}"


def given_text(edges: Sequence[Mapping[str, Any]], values: str) -> str:
    """Return what edges of one role give: `keys k`, `values self(v)`, `rate eta`, `step u`."""
    role = role_of(edges[0])
    if role == "values":
        return f"values {values}"
    names = ", ".join(local(edge["flow"]) for edge in edges)
    return f"{'step' if role == 'through' else role} {names}"


def training_boxes(graph: nx.MultiDiGraph[str]) -> Iterator[Box]:
    """Yield what stands in the outermost level of a model beside memories: what trains it."""
    optimizer, head = graph.nodes["optimizer"], graph.nodes["head"]
    wanted = aim(graph.nodes["embed"]["vocab"], head["width"])
    facts: Facts = (("objective", wanted), ("over", f"{head['width']} logits"))
    yield Box(id=LOSS, kind=LOSS, title="task loss", facts=facts)
    facts = (("rule", optimizer["name"]), ("rate", f"{optimizer['lr']:g}"))
    yield Box(id=OPTIMIZER, kind=OPTIMIZER, title="optimizer", facts=facts)
    yield Box(id=PARAMETERS, kind=PARAMETERS, title="parameters", facts=tuple(_weights(graph)))


def schedule_box() -> Box:
    """Return what gives an optimizer its learning rate."""
    return Box(id=SCHEDULE, kind=SCHEDULE, title="schedule", facts=(("gives", "lr"),))


def _weights(graph: nx.MultiDiGraph[str]) -> Iterator[tuple[str, str]]:
    """Yield what the optimizer moves: maps and gains by block, first states of memories."""
    embed, head = graph.nodes["embed"], graph.nodes["head"]
    tie = "shared with the head" if head["tie"] else "and a head"
    yield "embedding", f"{embed['vocab']} x {embed['width']}, {tie}"
    counted: dict[str, Counter[str]] = {}
    for _, attributes in graph.nodes(data=True):
        if _has_weights(attributes):
            counter = counted.setdefault(attributes["block"], Counter())
            counter[attributes["op"]] += attributes["repeat"]
    for block, counter in list(counted.items())[:_LISTED]:
        yield block, ", ".join(f"{counter[op]} {op}" for op in _WEIGHTS if counter[op])
    if len(counted) > _LISTED:
        yield "...", f"{len(counted) - _LISTED} more blocks"
    learned = sum(
        graph.nodes[target]["repeat"]
        for _, target, edge in graph.out_edges("parameters", data=True)
        if edge["kind"] == "init"
    )
    if learned:
        yield "memories", f"first states of {learned}"


def _has_weights(attributes: Mapping[str, Any]) -> bool:
    return attributes["kind"] == "op" and attributes["op"] in _WEIGHTS and not attributes["tie"]
