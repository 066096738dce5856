"""The graph of a system: what checks, schedules and pictures read.

A memory is split in its write (`3.hope/M.write`) and its reads (`3.hope/q`, one node a read),
so that the graph without `carry` edges is acyclic: `carry` edges alone cross from one tick
into the next. What is trained is split likewise: `optimizer` writes `parameters`.

Kinds of nodes: `embed`, `input`, `op`, `read`, `write`, `norm`, `head`, `loss`, `optimizer`,
`parameters`. Kinds of edges, with their roles:

* `flow`: to an op (`in`), to a read (`query`), and from a write to a read `after` it in the
  same tick (`after`);
* `write`: to a write, what it stores (`keys`, `values`, `erase.key`);
* `rate`: to a write, a coefficient that a flow makes (`rate`, `retain`, `momentum`, ...);
* `init`: to a write, from the parameters (`learned`, `given`) or from another memory (`from`);
* `task`: from the loss, or from the flow that the gradient went `through`;
* `carry`: from a write to itself (`state`), to reads `before` and at the `boundary`, and to
  the side of it that another memory starts `from`.

Nodes and edges carry a clock (`level`, `unit`, `period`, `frequency`) and a span. The clock
of a `carry` edge says when it crosses: at every position, or at the ticks of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nestgraph.analysis.levels import levels
from nestgraph.analysis.run_length import Rolled, roll_up, unrolled
from nestgraph.graph.block_graph import Instance, add_block, add_edge, add_node
from nestgraph.language.system import STEP, TOKEN, FlatBlock, Group, Model, System, Training

if TYPE_CHECKING:
    import networkx as nx

    from nestgraph.graph.spec_graph import SpecGraph


def build_graph(system: System, roll: bool = False) -> SpecGraph:
    """Return the graph of a system.

    Args:
        system: an elaborated spec.
        roll: show equal repeats once; their nodes say `repeat=N`, and `in_turn` where others
            stand between the repeats.

    Returns:
        The graph; `graph.graph["levels"]` holds the rows of `nestgraph.analysis.levels`,
        `graph.graph["system"]` the system, and `graph.graph["rolled"]` the layers by path.
    """
    from nestgraph.graph.spec_graph import SpecGraph  # networkx: only for those who ask for a graph

    graph = SpecGraph()
    graph.graph.update(name=system.name, doc=system.doc, levels=levels(system), system=system)
    if system.model is not None:
        roller = roll_up if roll else unrolled
        rolled = roller(system.model.layers)
        graph.graph["rolled"] = {one.layer.path: one for one in rolled}
        _add_model(graph, system, system.model, rolled)
        _add_training(graph, system.model, system.training)
    else:
        _add_optimizer(graph, system, system.optimizer or ())
    return graph


def within_tick(graph: nx.MultiDiGraph[str]) -> nx.MultiDiGraph[str]:
    """Return the graph without `carry` edges: who waits for whom inside one tick."""
    kept = graph.copy()
    edges = graph.edges(keys=True, data=True)
    carried = [edge[:3] for edge in edges if edge[3]["kind"] == "carry"]
    kept.remove_edges_from(carried)
    return kept


def _add_model(
    graph: nx.MultiDiGraph[str], system: System, model: Model, layers: Sequence[Rolled]
) -> None:
    add_node(graph, "embed", "embed", TOKEN, vocab=model.vocab, width=model.width, span=model.span)
    flow = "embed"
    for rolled in layers:
        flow = _add_layer(graph, system, model.width, rolled, flow)
    if model.norm is not None:
        add_node(graph, "norm", "norm", TOKEN, op=model.norm, width=model.width, span=model.span)
        add_edge(graph, (flow, "norm"), ("flow", "in"), TOKEN)
        flow = "norm"
    add_node(graph, "head", "head", TOKEN, tie=model.tie_head, width=model.classes, span=model.span)
    add_edge(graph, (flow, "head"), ("flow", "in"), TOKEN)


def _add_layer(
    graph: nx.MultiDiGraph[str], system: System, width: int, rolled: Rolled, flow: str
) -> str:
    """Add a layer that is fed by `flow`, and answers its output."""
    path, block = rolled.layer.path, rolled.layer.block
    shared = {"layer": path, "block": block.name, "repeat": rolled.repeat}
    shared |= {"in_turn": True} if rolled.runs else {}
    at = Instance(path=path, block=block, position=TOKEN, clocks=system.clocks, shared=shared)
    for name in block.inputs:
        add_node(graph, at.id(name), "input", TOKEN, name=name, width=width, **shared)
        add_edge(graph, (flow, at.id(name)), ("flow", "in"), TOKEN)
    add_block(graph, at)
    return flow if block.output is None else at.id(block.output)


def _add_training(graph: nx.MultiDiGraph[str], model: Model, training: Training) -> None:
    """Add the outermost level: the task, the optimizer and what it moves."""
    span = training.spans.get("optimizer")
    name = training.optimizer if training.system is None else training.system.name
    add_node(graph, "loss", "loss", STEP, span=model.span)
    add_node(graph, "optimizer", "optimizer", STEP, name=name, lr=training.lr, span=span)
    add_node(graph, "parameters", "parameters", STEP, span=model.span)
    add_edge(graph, ("head", "loss"), ("flow", "in"), TOKEN)
    add_edge(graph, ("loss", "optimizer"), ("task", "loss"), STEP)
    add_edge(graph, ("optimizer", "parameters"), ("carry", "state"), STEP)


def _add_optimizer(graph: nx.MultiDiGraph[str], system: System, groups: Sequence[Group]) -> None:
    add_node(graph, "loss", "loss", STEP)
    add_node(graph, "parameters", "parameters", STEP)
    for index, group in enumerate(groups):
        if group.block is not None:
            _add_group(graph, system, f"{index}.{group.block.name}", group, group.block)
            continue
        name = f"{index}.{group.spec}"
        add_node(
            graph,
            name,
            "optimizer",
            STEP,
            name=group.spec,
            group=group_text(group),
            span=group.span,
        )
        add_edge(graph, ("loss", name), ("task", "loss"), STEP, span=group.span)
        add_edge(graph, (name, "loss"), ("carry", "state"), STEP, span=group.span)


def _add_group(
    graph: nx.MultiDiGraph[str], system: System, path: str, group: Group, block: FlatBlock
) -> None:
    """Add a block that runs once for each parameter of its group; the gradient comes from the
    task.
    """
    shared = {"layer": path, "block": block.name, "repeat": 1, "group": group_text(group)}
    at = Instance(path=path, block=block, position=STEP, clocks=system.clocks, shared=shared)
    for name in block.inputs:
        add_node(graph, at.id(name), "input", STEP, name=name, width=None, **shared)
        if name != "lr":
            add_edge(graph, ("loss", at.id(name)), ("task", "loss"), STEP, flow=name)
    add_block(graph, at)
    for memory in block.memories.values():
        if memory.objective.kind == "task":
            ends = (at.write(memory.name), "loss")
            add_edge(graph, ends, ("carry", "state"), STEP, span=memory.span)


def group_text(group: Group) -> str:
    """Return which parameters a group of an optimizer holds: `hidden_matrices`, `names *.bias`."""
    return group.kind if group.names is None else f"{group.kind} {group.names}"
