"""Put what belongs to one recurrence into one loop, and order everything.

A stack of memories, its write and its reads form a loop; so does every strongly connected
component of the graph with `carry` edges. A memory that is written or asked inside of a loop is
so there altogether, whatever computes it: one place keeps its state. Loops on the same clock
become one when nothing but plain ops lies between them; loops that wait for each other become one
on the union grid of their ticks. What is in no loop runs once over the whole sequence.

Adds a `loop` op before each loop (`periods`: its ticks; `longest`: the most tokens that it
takes at once; `whole`: these may be several periods, see `whole_periods.py`) and a `loop`
attribute on the ops inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import networkx as nx

from nestgraph.compiler.dependencies import Graph, between, graph, recurrent
from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.memory_ops import write_name
from nestgraph.compiler.passes.batch_memories import stack_of
from nestgraph.compiler.passes.select import CHUNK, LOOPED, SCANS, WRITTEN_OUT, is_written_out
from nestgraph.compiler.passes.whole_periods import whole_span, writes_first

Uses: TypeAlias = tuple[frozenset[str], ...]
"""For each memory that is written, its write, its reads and their parts."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """See the module."""

    name: ClassVar[str] = "schedule"

    def apply(self, program: Program) -> Program:
        """Return the program with loops, in the order in which it runs."""
        return program.map(_schedule)


@dataclass(frozen=True, kw_only=True)
class _Loop:
    body: frozenset[str]
    periods: frozenset[int]  # ticks, in tokens; empty when no memory inside ever commits
    longest: int  # tokens at once; 1 for a scan

    def joined(self, other: _Loop) -> _Loop:
        return _Loop(
            body=self.body | other.body,
            periods=self.periods | other.periods,
            longest=min(self.longest, other.longest),
        )

    def closed(self, uses: Uses, order: Graph) -> _Loop:
        return replace(self, body=_closed(self.body, uses, order))


def _schedule(function: Function) -> Function:
    order = graph(function.ops)
    uses = tuple(_uses(function))
    loops = _untangled(_first_loops(function, uses, order), uses, order)
    loops = _same_clock(loops, function, uses, order)
    return replace(function, ops=tuple(_ordered(function, loops, order)))


def _first_loops(function: Function, uses: Uses, order: Graph) -> list[_Loop]:
    components = recurrent(function)
    loops: list[_Loop] = []
    for memory in function.of_kind("memory"):
        if memory.attrs.get("kernel") not in LOOPED | SCANS:
            continue
        write = write_name(memory.name)
        body = {write} | components.get(write, frozenset())
        learns = memory.text("kernel") in LOOPED
        periods = {memory.integer("period"), memory.integer("reset", 0)} if learns else set()
        longest = WRITTEN_OUT if learns and is_written_out(memory) else CHUNK
        loop = _Loop(
            body=frozenset(body),
            periods=frozenset(periods - {0}),
            longest=1 if memory.text("kernel") in SCANS else longest,
        )
        loops.append(loop.closed(uses, order))
    return _overlapping_joined(_restarts_joined(loops, function, uses, order), uses, order)


def _uses(function: Function) -> Iterator[frozenset[str]]:
    """Yield the ops of each memory that is written."""
    asked: dict[str, set[str]] = {}
    memory_of: dict[str, str] = {}
    for op in function.of_kind("read"):
        asked.setdefault(op.inputs[0], set()).add(op.name)
        memory_of[op.name] = op.inputs[0]
    for op in function.of_kind("part"):
        if op.inputs[0] in memory_of:
            asked[memory_of[op.inputs[0]]].add(op.name)
    for write in function.of_kind("write"):
        yield frozenset({write.name, *asked.get(write.inputs[0], ())})


def _closed(body: frozenset[str], uses: Uses, order: Graph) -> frozenset[str]:
    """Return a body with all that lies within, and with all of each memory that it has a part
    of.
    """
    while True:
        whole = frozenset(between(order, body))
        whole = whole.union(*(used for used in uses if not used.isdisjoint(whole)))
        if whole == body:
            return body
        body = whole


def _restarts_joined(
    loops: list[_Loop], function: Function, uses: Uses, order: Graph
) -> list[_Loop]:
    """Return a memory that starts again as another one is runs in the other's loop.

    A restart comes behind all commits of its position, so that neither write waits for the other.
    """
    for memory in function.of_kind("memory"):
        other = memory.attrs.get("restart")
        if other is None:
            continue
        names = {write_name(memory.name), write_name(stack_of(function, str(other)).name)}
        one, *rest = (loop for loop in loops if loop.body & names)
        loops = [loop for loop in loops if not loop.body & names]
        for loop in rest:
            one = one.joined(loop)
        loops.append(one.closed(uses, order) if rest else one)
    return loops


def _overlapping_joined(loops: list[_Loop], uses: Uses, order: Graph) -> list[_Loop]:
    result: list[_Loop] = []
    for loop in loops:
        for other in [o for o in result if o.body & loop.body]:
            result.remove(other)
            loop = loop.joined(other).closed(uses, order)
        result.append(loop)
    return result


def _untangled(loops: list[_Loop], uses: Uses, order: Graph) -> list[_Loop]:
    """Return loops that wait for each other, or overlap, joined until none do."""
    while True:
        condensed = _condensed(loops, order)
        tangled = [c for c in nx.strongly_connected_components(condensed) if len(c) > 1]
        if not tangled:
            return loops
        names = set().union(*tangled)
        chosen = [loop for i, loop in enumerate(loops) if _group(i) in names]
        rest = [loop for i, loop in enumerate(loops) if _group(i) not in names]
        joined = chosen[0]
        for loop in chosen[1:]:
            joined = joined.joined(loop)
        loops = _overlapping_joined([*rest, joined.closed(uses, order)], uses, order)


def _same_clock(loops: list[_Loop], function: Function, uses: Uses, order: Graph) -> list[_Loop]:
    """Return loops on one clock joined, where only plain ops lie between them."""
    memory_ops = {op.name for op in function.of_kind("read", "write")}
    result: list[_Loop] = []
    for loop in loops:
        for index, other in enumerate(result):
            if (other.periods, other.longest) != (loop.periods, loop.longest):
                continue
            joined = other.joined(loop).closed(uses, order)
            extra = joined.body - other.body - loop.body
            if extra & memory_ops:
                continue
            candidate = [*result[:index], joined, *result[index + 1 :]]
            if _untangled(candidate, uses, order) == candidate:
                result = candidate
                break
        else:
            result.append(loop)
    return result


def _group(index: int) -> str:
    return f"loop {index}"


def _condensed(loops: list[_Loop], order: Graph) -> Graph:
    """Return the graph with every loop as one node."""
    group = {name: _group(i) for i, loop in enumerate(loops) for name in loop.body}
    result: Graph = nx.DiGraph()
    result.add_nodes_from(group.get(name, name) for name in order)
    for source, target in order.edges:
        a, b = group.get(source, source), group.get(target, target)
        if a != b:
            result.add_edge(a, b)
    return result


def _ordered(function: Function, loops: list[_Loop], order: Graph) -> Iterator[Op]:
    by_name = {op.name: op for op in function.ops}
    place = {op.name: i for i, op in enumerate(function.ops)}
    for index, loop in enumerate(loops):
        place[_group(index)] = min(place[name] for name in loop.body)
    inside = list(nx.lexicographical_topological_sort(order, key=place.__getitem__))
    yield from function.of_kind("memory")
    condensed = _condensed(loops, order)
    for name in nx.lexicographical_topological_sort(condensed, key=place.__getitem__):
        if name in by_name:
            yield by_name[name]
            continue
        index = int(name.removeprefix("loop "))
        loop = loops[index]
        body = [by_name[n] for n in inside if n in loop.body]
        span = whole_span(function, body, loop.periods, loop.longest, order)
        if span is not None:
            body = writes_first(body, order, place)
        yield from _loop_ops(index, loop, body, span)


def _loop_ops(index: int, loop: _Loop, body: list[Op], span: int | None) -> Iterator[Op]:
    periods = tuple(sorted(loop.periods))
    yield Op(
        name=f"loop{index}",
        kind="loop",
        attrs={
            "periods": periods,
            "longest": loop.longest if span is None else span,
            "loop": index,
            **({} if span is None else {"whole": True}),
        },
    )
    yield from (op.with_attrs(loop=index) for op in body)
