"""From a checked `System` to the first IR: one function for each different item of the stack.

Every flow becomes an op, every memory a `memory`, a `write` and its `read`s. Ops stand in
dependency order within one position: an `after` read stands behind its memory's write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nestgraph.analysis.online_memories import ticks_of
from nestgraph.compiler import online_memories
from nestgraph.compiler.ir import Attr, Function, Op, Program
from nestgraph.compiler.memory_ops import asks_of, memory_op, one_name, write_name, write_op
from nestgraph.language.system import FlatBlock, Memory, Node, Read, System


def elaborate(system: System) -> Program:
    """Return the program that a model's `System` describes, before any pass."""
    model = system.model
    assert model is not None, "optimizers are refused before they reach the compiler"
    blocks: dict[int, tuple[FlatBlock, list[str]]] = {}
    for layer in model.layers:
        blocks.setdefault(id(layer.block), (layer.block, []))[1].append(layer.path)
    functions = tuple(
        _function(f"f{index}", block, tuple(paths), model.width)
        for index, (block, paths) in enumerate(blocks.values())
    )
    return Program(
        name=system.name,
        vocab=model.vocab,
        width=model.width,
        norm=model.norm,
        tie_head=model.tie_head,
        classes=model.classes,
        horizon=ticks_of(model).horizon,
        clocks=tuple(replace(clock, span=None) for clock in system.clocks.values()),
        functions=functions,
    )


def _function(name: str, block: FlatBlock, paths: tuple[str, ...], width: int) -> Function:
    assert block.output is not None
    (source,) = block.inputs
    ops = [memory_op(memory, block) for memory in block.memories.values()]
    ops += [write_op(m) for m in block.memories.values() if m.objective.kind != "task"]
    ops += [
        online_memories.rates_op(m)
        for m in block.memories.values()
        if online_memories.rate_flows(m)
    ]
    ops += [_one_op(m) for m in block.memories.values() if m.net.kind == "vector"]
    ops += [_flow_op(node, block, source) for node in block.nodes.values()]
    return Function(
        name=name,
        paths=paths,
        input=source,
        width=width,
        ops=tuple(in_dependency_order(ops)),
        output=block.output,
    )


def in_dependency_order(ops: Iterable[Op]) -> Iterator[Op]:
    """Yield the ops, each behind those that make its inputs; otherwise in the given order."""
    by_name = {op.name: op for op in ops}
    begun: set[str] = set()
    done: set[str] = set()
    for root in by_name.values():
        stack = [root]
        while stack:
            op = stack[-1]
            waiting = [by_name[i] for i in op.inputs if i in by_name and i not in done]
            if op.name not in done and waiting:
                assert op.name not in begun, f"%{op.name} waits for itself: the checks refuse that"
                begun.add(op.name)
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            if op.name not in done:
                done.add(op.name)
                yield op


def _one_op(memory: Memory) -> Op:
    """Return the key of a vector, which is a matrix of one column: 1 in every head."""
    return Op(name=one_name(memory.name), kind="ones", width=memory.heads, span=memory.span)


def _flow_op(node: Node | Read, block: FlatBlock, source: str) -> Op:
    if isinstance(node, Read):
        return _read_op(node, block, source)
    attrs: dict[str, Attr] = {"owner": node.tie or node.owner}
    if node.tie is not None and node.op == "conv":
        attrs["tail"] = node.owner  # parameters are shared, what it remembers is not
    attrs |= {key: _plain(value) for key, value in node.fields.items()}
    return Op(
        name=node.name,
        kind=node.op,
        inputs=node.inputs,
        attrs=attrs,
        width=node.width,
        span=node.span,
    )


def _read_op(node: Read, block: FlatBlock, source: str) -> Op:
    memory = block.memories[node.memory]
    attrs: dict[str, Attr] = {"at": node.at}
    if node.query is None and memory.net.kind != "vector":
        attrs["whole"] = True  # the matrix itself; what it would be asked plays no part
    inputs = [node.memory, node.query or asks_of(memory, source)]
    if node.at == "after" and memory.objective.kind != "task":
        inputs.append(write_name(node.memory))
    return Op(
        name=node.name,
        kind="read",
        inputs=tuple(inputs),
        attrs=attrs,
        width=node.width,
        span=node.span,
    )


def _plain(value: object) -> Attr:
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    assert value is None or isinstance(value, str | int | float | bool), value
    return value
