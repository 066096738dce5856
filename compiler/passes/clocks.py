"""Decide, for each read, which moment of its memory it waits for.

Before: `boundary` reads name no write, `before` reads neither. After: a `before` read that can
stand behind its memory's write names it as its third input and is answered from the chunk; one
that the write itself needs is marked `carried`, and answers from what the last position left.
`boundary` of a memory that commits at every token is `before`, and becomes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.dependencies import Graph, graph, reaches
from nestgraph.compiler.elaborate import in_dependency_order
from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.memory_ops import write_name


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """See the module."""

    name: ClassVar[str] = "clocks"

    def apply(self, program: Program) -> Program:
        """Return the program with every read's moment decided."""
        return program.map(_decide)


def _decide(function: Function) -> Function:
    memories = {op.name: op for op in function.of_kind("memory")}
    order = graph(function.ops)
    ops = [_moment(op, memories, order) if op.kind == "read" else op for op in function.ops]
    return replace(function, ops=tuple(in_dependency_order(ops)))


def _moment(read: Op, memories: dict[str, Op], order: Graph) -> Op:
    memory = memories[read.inputs[0]]
    every_token = memory.text("unit") == "tokens" and memory.integer("period") == 1
    at = read.text("at")
    if at == "boundary" and every_token:
        at = "before"
    if at != "before" or memory.text("unit") == "steps" or memory.attrs.get("objective") == "task":
        return read.with_attrs(at=at)
    write = write_name(memory.name)
    if reaches(order, read.name, write):
        return read.with_attrs(at=at, carried=True)
    order.add_edge(write, read.name)
    return replace(read.with_attrs(at=at), inputs=(*read.inputs, write))
