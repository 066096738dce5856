"""From a checked `System` to the first IR: one function for each different item of the stack.

Every flow becomes an op, every memory a `memory`, a `write` and its `read`s. Ops stand in
dependency order within one position: an `after` read stands behind its memory's write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nestgraph.compiler import fast
from nestgraph.compiler.ir import Attr, Function, Op, Program
from nestgraph.fast import ticks_of
from nestgraph.parameters import head_widths, hidden_width
from nestgraph.system import Coefficient, FlatBlock, Memory, Node, Read, System

COEFFICIENTS = ("rate", "momentum", "retain", "erase_rate")


def elaborate(system: System) -> Program:
    """The program that a model's `System` describes, before any pass."""
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
        horizon=ticks_of(model).horizon,
        clocks=tuple(replace(clock, span=None) for clock in system.clocks.values()),
        functions=functions,
    )


def _function(name: str, block: FlatBlock, paths: tuple[str, ...], width: int) -> Function:
    assert block.output is not None
    ops = [_memory_op(memory) for memory in block.memories.values()]
    ops += [_write_op(m) for m in block.memories.values() if m.objective.kind != "task"]
    ops += [fast.rates_op(m) for m in block.memories.values() if fast.rate_flows(m)]
    ops += [_flow_op(node, block) for node in block.nodes.values()]
    (source,) = block.inputs
    return Function(
        name=name,
        paths=paths,
        input=source,
        width=width,
        ops=tuple(in_dependency_order(ops)),
        output=block.output,
    )


def write_name(memory: str) -> str:
    """The name of a memory's write."""
    return f"{memory}.write"


def in_dependency_order(ops: Iterable[Op]) -> Iterator[Op]:
    """The ops, each behind those that make its inputs; otherwise in the given order."""
    by_name = {op.name: op for op in ops}
    done: set[str] = set()
    for root in by_name.values():
        stack = [root]
        while stack:
            op = stack[-1]
            waiting = [by_name[i] for i in op.inputs if i in by_name and i not in done]
            if op.name not in done and waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            if op.name not in done:
                done.add(op.name)
                yield op


def _memory_op(memory: Memory) -> Op:
    net, level = memory.net, memory.level
    attrs: dict[str, Attr] = {
        "net": net.kind,
        "heads": memory.heads,
        "level": level.name,
        "unit": level.unit,
        "period": level.period,
        "key_width": memory.key_width,
        "value_width": memory.value_width,
    }
    if net.kind == "mlp":
        attrs |= {
            "layers": net.layers,
            "hidden": hidden_width(net, head_widths(memory)[0]),
            "activation": net.activation,
            "residual": net.residual,
        }
    if net.kind != "attention":
        attrs["init"] = memory.init.kind
    if memory.is_fast:
        attrs |= fast.axes(memory)
    elif net.kind != "attention" and not memory.is_step_group:
        attrs |= {
            "objective": memory.objective.kind,
            "scale": memory.objective.scale,
            "retain_first": memory.rule.retain_first,
            "erase": memory.rule.erase.where,
            "implicit": memory.rule.implicit,
            "self_values": memory.self_values,
        }
    return Op(name=memory.name, kind="memory", attrs=attrs, span=memory.span)


def _write_op(memory: Memory) -> Op:
    inputs = [memory.name, memory.keys[0], memory.values[0]]
    roles = ["memory", "key", "value"]
    attrs: dict[str, Attr] = {}
    if memory.net.kind != "attention":
        for role, coefficient in _coefficients(memory):
            if coefficient.flow is not None:
                roles.append(role)
                inputs.append(coefficient.flow)
            else:
                attrs[role] = coefficient.numbers or coefficient.number
    attrs["roles"] = tuple(roles)
    name = write_name(memory.name)
    return Op(name=name, kind="write", inputs=tuple(inputs), attrs=attrs, span=memory.span)


def _coefficients(memory: Memory) -> Iterator[tuple[str, Coefficient]]:
    rule = memory.rule
    yield "rate", rule.rate
    yield "momentum", rule.momentum
    yield "retain", rule.retain
    if rule.erase.where != "none" and rule.erase.rate is not None:
        yield "erase_rate", rule.erase.rate


def _flow_op(node: Node | Read, block: FlatBlock) -> Op:
    if isinstance(node, Read):
        return _read_op(node, block.memories[node.memory])
    attrs: dict[str, Attr] = {"owner": node.owner}
    attrs |= {key: _plain(value) for key, value in node.fields.items()}
    return Op(
        name=node.name,
        kind=node.op,
        inputs=node.inputs,
        attrs=attrs,
        width=node.width,
        span=node.span,
    )


def _read_op(node: Read, memory: Memory) -> Op:
    assert node.query is not None
    inputs = [node.memory, node.query]
    if node.at == "after" and memory.objective.kind != "task":
        inputs.append(write_name(node.memory))
    return Op(
        name=node.name,
        kind="read",
        inputs=tuple(inputs),
        attrs={"at": node.at},
        width=node.width,
        span=node.span,
    )


def _plain(value: object) -> Attr:
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    assert value is None or isinstance(value, str | int | float | bool), value
    return value
