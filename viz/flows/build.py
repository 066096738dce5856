"""From a graph to a view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nestgraph.analysis.levels import LevelRow
from nestgraph.viz.flows.sources import PARAMETERS, SCHEDULE, STREAM, Sources, memory_id, sources
from nestgraph.viz.flows.view import Band, Box, Cell, Group, View, Wire
from nestgraph.viz.routing.engine import DrawError
from nestgraph.viz.scene import boxes

if TYPE_CHECKING:
    import networkx as nx

_MOST_BOXES = 600  # in good places within seconds


def build_view(graph: nx.MultiDiGraph[str], *, fed: str = STREAM) -> View:
    """Return the view of a graph that was built with `roll=True`.

    Args:
        graph: of a model or an optimizer.
        fed: where wires begin that tell what the layer of a parameter was fed; an optimizer alone
            knows it from the same stream as the gradient.

    Raises:
        DrawError: if there are more memories than a picture can hold.
    """
    writes = boxes.memories(graph)
    if len(writes) > _MOST_BOXES:
        raise DrawError(
            f"this picture would hold {len(writes):,} different memories; it can hold "
            f"{_MOST_BOXES:,}; layers that are equal and follow each other are drawn once; the "
            "view `block` can close its blocks by `--depth 0`"
        )
    groups = tuple(_groups(graph, writes))
    frames = {box.id: group for group in groups if group.framed for box in group.boxes}
    found = sources(graph, fed)
    wires = tuple(dict.fromkeys(_Wires(graph, writes, found, frames).all()))
    rows: tuple[LevelRow, ...] = graph.graph["levels"]
    if any(wire.source == SCHEDULE for wire in wires):
        box = boxes.schedule_box()
        groups = (Group(id=box.id, boxes=(box,)), *groups)
    return View(
        name=graph.graph["name"],
        doc=graph.graph["doc"],
        bands=tuple(Band(row=row, groups=tuple(_held(graph, row, groups))) for row in rows),
        stream=_stream_text(graph),
        wires=wires,
    )


def _held(graph: nx.MultiDiGraph[str], row: LevelRow, groups: Sequence[Group]) -> Iterator[Group]:
    """Yield the groups of one level; the outermost also holds what trains the system."""
    held = frozenset(row.memories)
    if row.trains:
        yield from (group for group in groups if group.id == SCHEDULE)
    yield from (group for group in groups if group.boxes[0].id in held)
    if row.trains and "embed" in graph:
        yield from (Group(id=box.id, boxes=(box,)) for box in boxes.training_boxes(graph))


def _stream_text(graph: nx.MultiDiGraph[str]) -> str:
    if "embed" in graph:
        embed = graph.nodes["embed"]
        return f"tokens (vocabulary {embed['vocab']}) -> embedding (width {embed['width']})"
    names = dict.fromkeys(
        attributes["name"]
        for _, attributes in graph.nodes(data=True)
        if attributes["kind"] == "input" and attributes["name"] != "lr"
    )
    return f"from the task, for each parameter: {', '.join(names)}"


def _groups(graph: nx.MultiDiGraph[str], writes: Mapping[str, str]) -> Iterator[Group]:
    """Yield memories that write alike in one frame, all others alone, in the order of the model."""
    asked = boxes.queries(graph)
    alike: dict[object, list[str]] = {}
    for memory, write in writes.items():
        given = frozenset(
            (edge["kind"], edge["role"], flow) for flow, edge in boxes.inputs(graph, write)
        )
        node = graph.nodes[write]
        place = (node["layer"], node["unit"], node["period"], node["frequency"])
        alike.setdefault((place, given) if given else memory, []).append(memory)
    for together in alike.values():
        if len(together) > 1:
            yield _frame(graph, writes, asked, together)
        else:
            yield _alone(graph, writes[together[0]], asked.get(together[0], ()))


def _alone(graph: nx.MultiDiGraph[str], write: str, asked: Sequence[str]) -> Group:
    attributes = graph.nodes[write]
    cells = boxes.strip(boxes.inputs(graph, write), asked, attributes["values"])
    if attributes["objective_kind"] == "task" and not any(cell.kind == "task" for cell in cells):
        cells += _gradient_cell(graph)
    box = boxes.memory_box(attributes, cells, framed=False)
    return Group(id=box.id, boxes=(box,))


def _gradient_cell(graph: nx.MultiDiGraph[str]) -> tuple[Cell, ...]:
    """Return the input cell of the gradient: in an optimizer the task's gradient is part of the
    stream, so it needs an input.
    """
    return () if "embed" in graph else (Cell(key="step", kind="task", lines=("gradient",)),)


def _frame(
    graph: nx.MultiDiGraph[str],
    writes: Mapping[str, str],
    asked: Mapping[str, Sequence[str]],
    together: Sequence[str],
) -> Group:
    first = graph.nodes[writes[together[0]]]
    flows = [flow for memory in together for flow in asked.get(memory, ())]
    cells = [Cell(key="query", kind="flow", lines=(boxes.query_text(flows),))] if flows else []
    by_role: dict[str, list[Mapping[str, Any]]] = {}
    for _, edge in boxes.inputs(graph, writes[together[0]]):
        by_role.setdefault(boxes.role_of(edge), []).append(edge)
    for role, edges in by_role.items():
        text = boxes.given_text(edges, first["values"])
        cells.append(Cell(key=role, kind=edges[0]["kind"], lines=(text,)))
    members = [
        boxes.memory_box(graph.nodes[writes[memory]], (), framed=True) for memory in together
    ]
    return Group(
        id=f"{together[0]} and alike",
        title=boxes.origin(first),
        repeat=first["repeat"],
        boxes=tuple(_main_first(graph, members, writes)),
        cells=tuple(cells),
    )


def _main_first(
    graph: nx.MultiDiGraph[str], members: Sequence[Box], writes: Mapping[str, str]
) -> list[Box]:
    """Sort memories: those that answer to the model stand before those that only serve the
    frame.
    """
    own = {writes[box.id] for box in members}
    return sorted(members, key=lambda box: _serves_only(graph, box.id, own))


def _serves_only(graph: nx.MultiDiGraph[str], memory: str, own: set[str]) -> bool:
    reads = [
        name
        for name, attributes in graph.nodes(data=True)
        if attributes["kind"] == "read" and memory_id(attributes) == memory
    ]
    reached = {name for read in reads for name in _downstream(graph, read)}
    ends = {name for name in reached if graph.nodes[name]["kind"] == "write"}
    answers = any(graph.nodes[name]["kind"] in ("head", "loss") for name in reached)
    return bool(ends) and ends <= own and not answers


def _downstream(graph: nx.MultiDiGraph[str], start: str) -> set[str]:
    """Return all that a flow reaches before it enters a memory, and the writes that take it."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for _, target, edge in graph.out_edges(waiting.pop(), data=True):
            if edge["kind"] in ("carry", "init") or target in reached:
                continue
            reached.add(target)
            if graph.nodes[target]["kind"] not in ("write", "read"):
                waiting.append(target)
    return reached


class _Wires:
    """The edges of a graph as wires between boxes."""

    def __init__(
        self,
        graph: nx.MultiDiGraph[str],
        writes: Mapping[str, str],
        found: Sources,
        frames: Mapping[str, Group],
    ) -> None:
        self.graph = graph
        self.writes = writes
        self.found = found
        self.frames = frames

    def all(self) -> Iterator[Wire]:
        yield from self._questions()
        for memory, write in self.writes.items():
            yield from self._stored(memory, write)
        for memory, write in self.writes.items():
            yield from self._trained(memory, write)
        if "head" in self.graph:
            for source in self.found["head"]:
                yield Wire(source=source, target=boxes.LOSS, kind="flow")
            yield Wire(source=boxes.LOSS, target=boxes.OPTIMIZER, kind="task")
            yield Wire(source=boxes.OPTIMIZER, target=PARAMETERS, kind="task")

    def _questions(self) -> Iterator[Wire]:
        for memory, flows in boxes.queries(self.graph).items():
            for flow in flows:
                yield from self._to_cell(flow, memory, "flow", "query")

    def _stored(self, memory: str, write: str) -> Iterator[Wire]:
        for flow, edge in boxes.inputs(self.graph, write):
            yield from self._to_cell(flow, memory, edge["kind"], boxes.role_of(edge))

    def _to_cell(self, flow: str, memory: str, kind: str, role: str) -> Iterator[Wire]:
        frame = self.frames.get(memory)
        target, cell = (frame.id, role) if frame else (memory, boxes.cell_of(kind))
        for source in self.found[flow]:
            yield Wire(source=source, target=target, kind=kind, cell=cell)

    def _trained(self, memory: str, write: str) -> Iterator[Wire]:
        """Yield first states and the task's gradient."""
        frame = self.frames.get(memory)
        target = frame.id if frame else memory
        for source, _, edge in self.graph.in_edges(write, data=True):
            if edge["kind"] == "init" and edge["role"] == "from":
                start = memory_id(self.graph.nodes[source])
                yield Wire(source=start, target=memory, kind="init")
            elif edge["kind"] == "init" and "head" in self.graph:
                yield Wire(source=PARAMETERS, target=target, kind="init")
            elif edge["kind"] == "task" and edge["role"] == "loss":
                if "head" in self.graph:
                    yield Wire(source=boxes.LOSS, target=target, kind="task")
                else:
                    yield Wire(source=STREAM, target=memory, kind="task", cell="step")
