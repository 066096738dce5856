"""Which loops take several periods of their memories at once, and in which order then.

A memory whose state is a sum of events (`select.is_low_rank`) needs no pass over its matrices at a
tick: the kernel takes a run of whole periods and works out the ticks within from the few events
since the run began. All keys, values and rates of the run must be there beforehand, and reads at a
boundary ask the write, so that it comes first. Reads of several queries in one are left as they
are: they choose matrices, and there are none at the ticks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

from nestgraph.compiler.dependencies import Graph
from nestgraph.compiler.ir import Function, Op
from nestgraph.compiler.passes.select import is_low_rank

LEAST = 4  # periods, of fewer the events cost what the passes did


def whole_span(
    function: Function, body: Iterable[Op], periods: Iterable[int], longest: int, order: Graph
) -> int | None:
    """Return the most tokens of such a loop at once; None for every other.

    Events cost 2T(D + E) a token and matrix where a pass over it costs 2DE: wide heads take more.
    """
    body, clocks = list(body), list(periods)
    memories = [function.op(op.inputs[0]) for op in body if op.kind == "write"]
    if len(clocks) != 1 or longest == 1 or not all(map(is_low_rank, memories)):
        return None
    written = {memory.name for memory in memories}
    reads = [op for op in body if op.kind == "read"]
    if any(r.inputs[0] not in written or r.flag("carried") or "query" in r.attrs for r in reads):
        return None
    if not nx.is_directed_acyclic_graph(_writes_before_reads(body, order)):
        return None
    widths = [memory.integer("key_width") // memory.integer("heads") for memory in memories]
    span = max(longest, min(widths) // 2)
    return span if span >= LEAST * clocks[0] else None


def writes_first(body: Iterable[Op], order: Graph, place: Mapping[str, int]) -> list[Op]:
    """Return the body with every write before all reads of its memory."""
    by_name = {op.name: op for op in body}
    inside = _writes_before_reads(by_name.values(), order)
    return [by_name[n] for n in nx.lexicographical_topological_sort(inside, key=place.__getitem__)]


def _writes_before_reads(body: Iterable[Op], order: Graph) -> Graph:
    """Return who waits for whom inside of the body, reads for the writes of their memories too."""
    by_name = {op.name: op for op in body}
    writes = {op.inputs[0]: op.name for op in by_name.values() if op.kind == "write"}
    inside: Graph = nx.DiGraph(order.subgraph(by_name))
    reads = [op for op in by_name.values() if op.kind == "read"]
    inside.add_edges_from((writes[op.inputs[0]], op.name) for op in reads)
    return inside
