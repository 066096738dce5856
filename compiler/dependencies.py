"""Dependencies between the ops of a function, within a position and across positions.

Edges run from a value to those that need it. Within one position the graph is acyclic. With
`carries` a memory's write also points at the reads that answer from what earlier positions
left; the cycles of that graph are the real recurrences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

from nestgraph.compiler.ir import Function, Op

if TYPE_CHECKING:
    Graph: TypeAlias = nx.DiGraph[str]
else:
    Graph = nx.DiGraph


def graph(ops: Iterable[Op], *, carries: bool = False) -> Graph:
    """Return the dependency graph over op names; memories themselves are left out."""
    listed = [op for op in ops if op.kind not in ("memory", "loop")]
    names = {op.name for op in listed}
    result: Graph = nx.DiGraph()
    result.add_nodes_from(op.name for op in listed)
    for op in listed:
        result.add_edges_from((name, op.name) for name in op.inputs if name in names)
    if carries:
        result.add_edges_from(_carried(listed))
    return result


def _carried(ops: Sequence[Op]) -> Iterable[tuple[str, str]]:
    writes = {op.inputs[0]: op.name for op in ops if op.kind == "write"}
    for op in ops:
        if op.kind == "read" and op.inputs[0] in writes:
            yield writes[op.inputs[0]], op.name


def recurrent(function: Function) -> dict[str, frozenset[str]]:
    """Return, for every op inside a recurrence, the ops of its component."""
    components = nx.strongly_connected_components(graph(function.ops, carries=True))
    large = [frozenset(component) for component in components if len(component) > 1]
    return {name: component for component in large for name in component}


def reaches(graph_: Graph, source: str, target: str) -> bool:
    """Return whether `target` needs `source` within one position."""
    return bool(nx.has_path(graph_, source, target))


def between(graph_: Graph, names: Iterable[str]) -> set[str]:
    """Return `names` and all that lies on a path from one of them to another."""
    chosen = set(names)
    return chosen | (_reached(chosen, graph_.successors) & _reached(chosen, graph_.predecessors))


def _reached(names: Iterable[str], steps: Callable[[str], Iterator[str]]) -> set[str]:
    """Return where steps lead from any of some names, however many."""
    waiting, reached = list(names), set[str]()
    while waiting:
        new = [name for name in steps(waiting.pop()) if name not in reached]
        reached.update(new)
        waiting += new
    return reached
