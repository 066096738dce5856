"""The order of one position: what asks for what (§2).

Values are pulled. A node asks for its inputs, an `after` read for the memory's write, a write
for keys, values and coefficients. What this asks for never changes from one position to the
next, so the asking is done once, and each position runs the answer from front to back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nestgraph.language.system import FlatBlock, Memory, Node, Read
from nestgraph.shapes.flows import memory_flows


class Write(NamedTuple):
    """The moment in which a memory learns from this position."""

    memory: Memory


Job = Node | Read | Write


def in_order(block: FlatBlock) -> tuple[Job, ...]:
    """Return every node and every write of a block, each behind what it asks for."""
    jobs: dict[str, Job] = dict(block.nodes)
    writes = (m for m in block.memories.values() if m.objective.kind != "task")
    jobs |= {_write(memory.name): Write(memory) for memory in writes}
    done: dict[str, Job] = {}
    stack = [iter(jobs)]
    waiting: dict[str, None] = {}
    while stack:
        name = next(stack[-1], None)
        if name is None:
            stack.pop()
            if waiting:
                finished, _ = waiting.popitem()
                done[finished] = jobs[finished]
            continue
        assert name not in waiting, f"`{name}` waits for itself: the checks refuse that"
        if name in jobs and name not in done:
            waiting[name] = None
            stack.append(_asks(block, jobs[name]))
    return tuple(done.values())


def _write(memory: str) -> str:
    return f"{memory}.write"  # no node is called so: memories and nodes share one namespace


def _asks(block: FlatBlock, job: Job) -> Iterator[str]:
    match job:
        case Node():
            yield from job.inputs
        case Read():
            if job.query is not None:
                yield job.query
            if job.at == "after" and block.memories[job.memory].objective.kind != "task":
                yield _write(job.memory)
        case Write():
            yield from (flow for _, flow in memory_flows(job.memory))
