"""Who feeds whom between memories, with the ops between them left out.

Going up from a flow through ops one meets reads of memories, the stream that enters the model,
or parameters and schedules, which no flow makes. A residual path goes round a memory: a source is
left out where another source of the same flow already asks it, directly or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

STREAM = "stream"
"""Stands for what enters from outside: embedded tokens, or the gradient of the task."""

SCHEDULE = "schedule"
"""Stands for what gives an optimizer its learning rate."""

PARAMETERS = "parameters"
"""Stands for what is trained and asks nothing: constants, and first states."""

Sources = Mapping[str, tuple[str, ...]]


def memory_id(attributes: Mapping[str, object]) -> str:
    """Return the id of the memory that a write or read belongs to."""
    return f"{attributes['layer']}/{attributes['memory']}"


def sources(graph: nx.MultiDiGraph[str], fed: str = STREAM) -> Sources:
    """Return, for every node that makes a flow, the memories, `STREAM` and others that it comes
    from.

    Args:
        graph: of a model or an optimizer.
        fed: what stands for the input of a parameter's layer.
    """
    import networkx as nx

    flows: nx.DiGraph[str] = nx.DiGraph()
    flows.add_nodes_from(graph)
    flows.add_edges_from(
        (source, target)
        for source, target, edge in graph.edges(data=True)
        if edge["kind"] == "flow" and edge["role"] != "after"
    )
    found: dict[str, tuple[str, ...]] = {}
    before: dict[str, set[str]] = {}  # memory: what it hears of, through queries
    for name in nx.topological_sort(flows):
        above = dict.fromkeys(source for flow in flows.pred[name] for source in found[flow])
        attributes = graph.nodes[name]
        if attributes["kind"] == "read":
            memory = memory_id(attributes)
            heard = before.setdefault(memory, set())
            heard.update(above, *(before.get(source, ()) for source in above))
            found[name] = (memory,)
        else:
            found[name] = nearest(above, before) if flows.pred[name] else _root(attributes, fed)
    return {name: nearest(found[name], before) for name in found}


def _root(attributes: Mapping[str, Any], fed: str) -> tuple[str, ...]:
    """Return where a flow begins that no other makes; a constant that isn't trained begins
    nowhere.
    """
    if attributes["kind"] == "op" and attributes["op"] == "constant":
        return (PARAMETERS,) if attributes["fields"]["trained"] else ()
    if attributes["kind"] == "input":
        return ({"lr": SCHEDULE, "input": fed}.get(attributes["name"], STREAM),)
    return (STREAM,)


def nearest(names: Iterable[str], before: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Return the sources that none of the others hears of; those that hear each other all stay."""
    listed = list(dict.fromkeys(names))
    return tuple(
        name
        for name in listed
        if not any(
            name in before.get(other, ()) and other not in before.get(name, ())
            for other in listed
            if other != name
        )
    )
