"""One instance of a block as nodes and edges, which `nestgraph.graph.build` puts together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nestgraph.analysis import levels
from nestgraph.analysis.parameters import TRAINED
from nestgraph.display import describe
from nestgraph.errors import Span
from nestgraph.language.system import NEVER, Clock, Coefficient, FlatBlock, Memory, Node, Read

if TYPE_CHECKING:
    import networkx as nx


def add_node(
    graph: nx.MultiDiGraph[str], node: str, kind: str, clock: Clock, /, **more: Any
) -> None:
    """Add a node with the attributes that every node has."""
    graph.add_node(node, **{"kind": kind, "span": None, **_ticks(clock), **more})


def add_edge(
    graph: nx.MultiDiGraph[str],
    ends: tuple[str, str],
    what: tuple[str, str],
    clock: Clock,
    /,
    **more: Any,
) -> None:
    """Add an edge with the attributes that every edge has; `what` is its kind and its role."""
    kind, role = what
    key = f"{kind} {role} {more.get('flow', '')}".rstrip()
    graph.add_edge(
        *ends, key=key, **{"kind": kind, "role": role, "span": None, **_ticks(clock), **more}
    )


def _ticks(clock: Clock) -> dict[str, object]:
    return {
        "level": clock.name,
        "unit": clock.unit,
        "period": clock.period,
        "frequency": levels.frequency(clock),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A block at its place.

    Attributes:
        path: prefix of the ids of its nodes, `3.hope`.
        position: the clock of its flows, tokens or steps.
        clocks: the levels of the system, for ops that tick with one.
        shared: attributes of all its nodes.
    """

    path: str
    block: FlatBlock
    position: Clock
    clocks: Mapping[str, Clock]
    shared: Mapping[str, Any]

    def id(self, name: str) -> str:
        """Return the id of a flow of this instance."""
        return f"{self.path}/{name}"

    def write(self, memory: str) -> str:
        """Return the id of a memory's write."""
        return f"{self.path}/{memory}.write"


def add_block(graph: nx.MultiDiGraph[str], at: Instance) -> None:
    """Add the nodes of an instance, and the edges inside it."""
    for node in at.block.nodes.values():
        _add_flow(graph, at, node)
    for memory in at.block.memories.values():
        _add_write(graph, at, memory)
    for node in at.block.nodes.values():
        if isinstance(node, Read):
            _connect_read(graph, at, node)
        else:
            _connect_op(graph, at, node)
    for memory in at.block.memories.values():
        _connect_write(graph, at, memory)
        _connect_init(graph, at, memory)
        _connect_task(graph, at, memory)


def _add_flow(graph: nx.MultiDiGraph[str], at: Instance, node: Node | Read) -> None:
    same = {"name": node.name, "owner": node.owner, "width": node.width, "span": node.span}
    if isinstance(node, Read):
        asked = {"memory": node.memory, "at": node.at, "query": node.query}
        add_node(graph, at.id(node.name), "read", at.position, **same, **asked, **at.shared)
    else:
        does = {"op": node.op, "fields": dict(node.fields), "tie": node.tie}
        clock = at.clocks[str(node.fields["level"])] if node.op == "pool" else at.position
        add_node(graph, at.id(node.name), "op", clock, **same, **does, **at.shared)


def _add_write(graph: nx.MultiDiGraph[str], at: Instance, memory: Memory) -> None:
    add_node(
        graph,
        at.write(memory.name),
        "write",
        levels.clock_of(memory),
        name=memory.name,
        memory=memory.name,
        width=memory.value_width,
        key_width=memory.key_width,
        net=describe.net_text(memory.net, memory.heads),
        net_kind=memory.net.kind,
        heads=memory.heads,
        objective=describe.objective_text(memory),
        objective_kind=memory.objective.kind,
        rule=describe.rule_text(memory),
        init=describe.init_text(memory),
        init_kind=memory.init.kind,
        values=describe.values_text(memory),
        reset=memory.reset.name,
        gradient=memory.gradient,
        step_group=memory.is_step_group,
        region=_region(at.block, memory.name),
        span=memory.span,
        **at.shared,
    )


def _region(block: FlatBlock, name: str) -> str:
    """Return the innermost block that a flat name came from."""
    around = [region for region in block.regions if name.startswith(f"{region.prefix}.")]
    return max(around, key=lambda region: len(region.prefix)).block if around else block.name


def _connect_op(graph: nx.MultiDiGraph[str], at: Instance, node: Node) -> None:
    for index, flow in enumerate(node.inputs):
        role = "in" if len(node.inputs) == 1 else f"in {index}"
        ends = (at.id(flow), at.id(node.name))
        span = node.spans.get("in", node.span)
        add_edge(graph, ends, ("flow", role), at.position, flow=flow, span=span)


def _connect_read(graph: nx.MultiDiGraph[str], at: Instance, read: Read) -> None:
    target = at.id(read.name)
    span = read.spans.get("query", read.span)
    if read.query is not None:
        ends = (at.id(read.query), target)
        add_edge(graph, ends, ("flow", "query"), at.position, flow=read.query, span=span)
    memory = at.block.memories[read.memory]
    ends = (at.write(memory.name), target)
    if memory.objective.kind == "task":
        # Its one state is the anchor, whatever the read asks for.
        add_edge(graph, ends, ("carry", "boundary"), memory.level, span=read.span)
        return
    if read.at == "after":
        add_edge(graph, ends, ("flow", "after"), at.position, span=read.span)
        return
    clock = memory.level if read.at == "boundary" else at.position
    add_edge(graph, ends, ("carry", read.at), clock, span=read.span)


def _connect_write(graph: nx.MultiDiGraph[str], at: Instance, memory: Memory) -> None:
    write = at.write(memory.name)
    for role, flow in _events(memory):
        span = memory.spans.get(role.split(" ")[0], memory.span)
        own = memory.self_values and role.startswith("values")
        add_edge(
            graph, (at.id(flow), write), ("write", role), at.position, flow=flow, span=span, own=own
        )
    for role, flow, span in _rates(memory):
        ends = (at.id(flow), write)
        add_edge(graph, ends, ("rate", role), at.position, flow=flow, span=span)
    moves = memory.level if memory.objective.kind == "task" else at.position
    if moves.unit != NEVER.unit:
        add_edge(graph, (write, write), ("carry", "state"), moves, span=memory.span)


def _events(memory: Memory) -> Iterator[tuple[str, str]]:
    """Yield what a memory stores: role and flow."""
    for field, flows in (("keys", memory.keys), ("values", memory.values)):
        for index, flow in enumerate(flows):
            yield field if len(flows) == 1 else f"{field} {index}", flow
    if memory.rule.erase.key is not None:
        yield "erase.key", memory.rule.erase.key


def _rates(memory: Memory) -> Iterator[tuple[str, str, Span | None]]:
    """Yield the coefficients of a memory that are flows: role, flow, place."""
    rule = memory.rule
    named: tuple[tuple[str, Coefficient | None], ...] = (
        ("rate", rule.rate),
        ("momentum", rule.momentum),
        ("retain", rule.retain),
        ("step", rule.step),
        ("erase.rate", rule.erase.rate),
        ("delta", memory.objective.delta),
    )
    for role, coefficient in named:
        if coefficient is not None and coefficient.flow is not None:
            yield role, coefficient.flow, coefficient.span or memory.span
    if rule.reduce_is_flow:
        yield "reduce", rule.reduce, rule.spans.get("reduce", memory.span)


def learns_start(memory: Memory) -> bool:
    """Return whether the outermost level trains where a memory starts.

    Attention starts empty, but for entries; a group of the optimizer *is* a parameter.
    """
    empty = memory.net.kind == "attention" and memory.init.entries is None
    return memory.init.kind in TRAINED and not empty and not memory.is_step_group


def _connect_init(graph: nx.MultiDiGraph[str], at: Instance, memory: Memory) -> None:
    """Add where its first state comes from."""
    init, write = memory.init, at.write(memory.name)
    span = init.span or memory.span
    if init.kind == "given" or learns_start(memory):
        add_edge(graph, ("parameters", write), ("init", init.kind), memory.reset, span=span)
    if init.kind != "from" or init.memory is None:
        return
    # The other memory as it is when the tick starts: a read of it that no flow takes.
    other = at.block.memories[init.memory]
    side = f"{at.id(other.name)}.read"
    if side not in graph:
        attributes = {"name": other.name, "memory": other.name, "at": "boundary", "query": None}
        add_node(graph, side, "read", other.level, span=span, width=None, **attributes, **at.shared)
        ends = (at.write(other.name), side)
        add_edge(graph, ends, ("carry", "from"), other.level, span=span)
    add_edge(graph, (side, write), ("init", "from"), memory.reset, span=span)


def _connect_task(graph: nx.MultiDiGraph[str], at: Instance, memory: Memory) -> None:
    objective, write = memory.objective, at.write(memory.name)
    if objective.kind != "task" or memory.level.unit == NEVER.unit:
        return
    span = objective.span or memory.span
    if objective.through is None:
        add_edge(graph, ("loss", write), ("task", "loss"), memory.level, span=span)
        return
    ends = (at.id(objective.through), write)
    flow = objective.through
    add_edge(graph, ends, ("task", "through"), memory.level, flow=flow, span=span)
