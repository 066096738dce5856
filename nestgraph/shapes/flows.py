"""The flows around one memory: what it is asked with, written with, and where that is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nestgraph.errors import Span
from nestgraph.language.system import Coefficient, FlatBlock, Memory, Read

Flow = tuple[str, str, Span | None]  # what it is to the memory, its name, where that is said

Reads = Mapping[str, Sequence[Read]]


def spot(memory: Memory, field: str) -> Span | None:
    """Return where a field of a memory (or of its rule, dotted) was written, else the memory."""
    head, _, tail = field.partition(".")
    inner = memory.rule.spans.get(tail) if head == "rule" else None
    return inner or memory.spans.get(field) or memory.spans.get(head) or memory.span


def reads_by_memory(block: FlatBlock) -> Reads:
    """Return the reads of each memory that has any, in the order of the file."""
    found: dict[str, list[Read]] = {}
    for node in block.nodes.values():
        if isinstance(node, Read):
            found.setdefault(node.memory, []).append(node)
    return found


def key_side(memory: Memory, reads: Reads) -> tuple[Flow, ...]:
    """Return the flows that enter the net: keys, questions, and what self values are asked with."""
    keys = [("keys", flow, spot(memory, "keys")) for flow in memory.keys]
    if memory.self_values:
        keys += [("self", flow, spot(memory, "values")) for flow in memory.values]
    for read in reads.get(memory.name, ()):
        if read.query is not None:
            keys.append(("query", read.query, read.spans.get("query") or read.span))
    return tuple(keys)


def value_side(memory: Memory) -> tuple[Flow, ...]:
    """Return the flows that the net's answers are compared with."""
    if memory.self_values:
        return ()
    return tuple(("values", flow, spot(memory, "values")) for flow in memory.values)


def coefficients(memory: Memory) -> Iterator[tuple[str, Coefficient]]:
    """Yield every rate of a memory with the name of its field."""
    rule = memory.rule
    for field in ("rate", "momentum", "retain", "step"):
        yield f"rule.{field}", getattr(rule, field)
    if rule.erase.rate is not None:
        yield "rule.erase.rate", rule.erase.rate
    if memory.objective.delta is not None:
        yield "objective.delta", memory.objective.delta


def memory_flows(memory: Memory) -> Iterator[tuple[str, str]]:
    """Yield every flow that one write asks for, with the field that names it."""
    rule = memory.rule
    yield from (("keys", flow) for flow in memory.keys)
    yield from (("values", flow) for flow in memory.values)
    for field, coefficient in coefficients(memory):
        if coefficient.flow is not None:
            yield field, coefficient.flow
    if rule.erase.key is not None:
        yield "rule.erase.key", rule.erase.key
    if rule.reduce_is_flow:
        yield "rule.reduce", rule.reduce
    if memory.objective.through is not None:
        yield "objective.through", memory.objective.through
