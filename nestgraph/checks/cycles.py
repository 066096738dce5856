"""No flow may need its own answer within one position (NG310).

A node needs its inputs; an `after` read needs its memory's write; a write needs keys, values and
coefficients. `before` and `boundary` reads ask an older state, so they cut a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from nestgraph.checks.loops import Needs, components, shortest_loop
from nestgraph.checks.registry import Finding, Scope, block_rule, flows_into
from nestgraph.language.system import Read
from nestgraph.shapes.flows import memory_flows

WRITE = ".write"
MOST_LOOPS = 10  # of one tangle; the others show when these are cut


@block_rule("NG310")
def nothing_needs_its_own_answer(scope: Scope) -> Iterator[Finding]:
    """Yield every loop within one position, by its shortest chain."""
    needs = dict(_needs(scope))
    for tangle in components(needs):
        for loop in _loops(needs, tangle):
            yield _finding(scope, loop)


def _loops(needs: Needs, tangle: list[str]) -> Iterator[list[str]]:
    """Yield loops of one component that share nothing, shortest first."""
    left = set(tangle)
    for _ in range(MOST_LOOPS):
        inside = {name: [w for w in needs[name] if w in left] for name in tangle if name in left}
        tangles = components(inside)
        if not tangles:
            return
        loop = shortest_loop(inside, tangles[0])
        yield loop
        left.difference_update(loop)


def _needs(scope: Scope) -> Iterator[tuple[str, list[str]]]:
    block = scope.block
    for name, node in block.nodes.items():
        wants = list(flows_into(node))
        if isinstance(node, Read) and node.at == "after" and _writes(scope, node):
            wants.append(node.memory + WRITE)
        yield name, wants
    for memory in block.memories.values():
        yield memory.name + WRITE, [flow for _, flow in memory_flows(memory)]


def _writes(scope: Scope, read: Read) -> bool:
    """Return whether an `after` read waits for a write; a task memory only moves between
    positions.
    """
    memory = scope.block.memories[read.memory]
    return memory.objective.kind != "task" or not scope.in_model


def _finding(scope: Scope, loop: list[str]) -> Finding:
    rank = scope.ranks
    first = min(range(len(loop)), key=lambda i: rank.get(loop[i], len(rank)))
    loop = loop[first:] + loop[:first]
    reads = [n for name in loop if isinstance(n := scope.block.nodes.get(name), Read)]
    late = next((r for r in reads if r.memory + WRITE in loop), None)
    place = late or scope.block.nodes[loop[0]]
    return Finding(
        message=f"{_chain(scope, loop)} needs its own answer within one position",
        hint=_cure(scope, late),
        span=place.spans.get("at") or place.span,
    )


def _chain(scope: Scope, loop: list[str]) -> str:
    labels = [_label(scope, name) for name in (*loop, loop[0])]
    shown = [label for label, _ in groupby(labels)]
    return " → ".join(f"`{label}`" for label in (shown * 2 if len(shown) == 1 else shown))


def _label(scope: Scope, name: str) -> str:
    memory = name.removesuffix(WRITE)
    if memory != name and memory in scope.block.memories:
        return scope.label(memory) + WRITE
    return scope.label(name)


def _cure(scope: Scope, late: Read | None) -> str:
    if late is None:
        return "break the loop: a flow can reach itself only through a memory read `before`"
    memory = scope.block.memories[late.memory]
    name = scope.label(memory.name)
    if memory.net.kind == "attention":
        return f"read `{name}` `at: before`"
    return f"read `{name}` `at: before` or `at: boundary`"
