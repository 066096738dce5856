"""Stack memories that are alike into one state, and their reads of one query into one read.

Alike: same net, heads, level, objective and rule, the same keys, the same coefficients. Hope's
five memories become one, with five members. A memory alone becomes a stack of one, so that
emission knows one form only. Reads of one stack at one moment become one read, with a query for
each member (`query` says which of the inputs), where none of them needs another's answer.

    %M_k = memory() ...                     %M_k#2 = memory() {members=["M_k", "M_v"], ...}
    %M_v = memory() ...                     %k.read = read(%M_k#2, %c) {member=[0, 1], ...} : 64
    %k = read(%M_k, %c) : 32        ->      %k = part(%k.read) {start=0} : 32
    %v = read(%M_v, %c) : 32                %v = part(%k.read) {start=32} : 32
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.dependencies import Graph, graph, reaches
from nestgraph.compiler.elaborate import in_dependency_order
from nestgraph.compiler.ir import Attr, Function, Op, Program
from nestgraph.compiler.memory_ops import write_name
from nestgraph.compiler.passes.select import LOOPED

_OWN = frozenset({"why", "members", "init", "start"})


@dataclass(frozen=True, kw_only=True)
class Stack:
    """See the module."""

    name: ClassVar[str] = "stack"

    def apply(self, program: Program) -> Program:
        """Return the program with alike memories stacked."""
        return program.map(_stack)


def _stack(function: Function) -> Function:
    by_name = {op.name: op for op in function.ops}
    groups = _groups(function, by_name)
    renamed = {
        member.name: (stack_name(group), i) for group in groups for i, member in enumerate(group)
    }
    ops: list[Op] = []
    writes = {write_name(member): write_name(stack) for member, (stack, _) in renamed.items()}
    for group in groups:
        ops.append(_stacked_memory(group))
        write = _stacked_write(group, by_name)
        ops.append(replace(write, inputs=tuple(writes.get(name, name) for name in write.inputs)))
    gone = {name for member in renamed for name in (member, write_name(member))}
    for op in function.ops:
        if op.name in gone:
            continue
        ops.append(_renamed_read(op, renamed) if op.kind == "read" else op)
    return replace(function, ops=tuple(in_dependency_order(_merged_reads(ops))))


def stack_name(group: list[Op]) -> str:
    """Return the name of a stack of memories."""
    return f"{group[0].name}#{len(group)}"


def stack_of(function: Function, member: str) -> Op:
    """Return the stack that a memory became part of."""
    return next(op for op in function.of_kind("memory") if member in op.texts("members"))


def _groups(function: Function, by_name: dict[str, Op]) -> list[list[Op]]:
    order = graph(function.ops)
    groups: list[list[Op]] = []
    for memory in function.of_kind("memory"):
        if memory.attrs.get("kernel") not in LOOPED:
            continue
        for group in groups:
            alike = _likeness(group[0], by_name) == _likeness(memory, by_name)
            if alike and not any(_linked(order, memory, other) for other in group):
                group.append(memory)
                break
        else:
            groups.append([memory])
    return groups


def _likeness(memory: Op, by_name: dict[str, Op]) -> tuple[object, ...]:
    """Return what two memories must share to be stacked; values may differ unless they are self."""
    write = by_name[write_name(memory.name)]
    axes = {key: value for key, value in memory.attrs.items() if key not in _OWN}
    rates = {key: value for key, value in write.attrs.items() if key != "roles"}
    inputs = zip(write.texts("roles"), write.inputs, strict=True)
    own = memory.flag("self_values")
    shared = [
        (role, name) for role, name in inputs if role != "memory" and (own or role != "value")
    ]
    return (sorted(axes.items(), key=str), sorted(rates.items(), key=str), shared)


def _linked(order: Graph, one: Op, other: Op) -> bool:
    """Return whether one memory's write needs the other's in the same position."""
    a, b = write_name(one.name), write_name(other.name)
    return reaches(order, a, b) or reaches(order, b, a)


def _stacked_memory(group: list[Op]) -> Op:
    first = group[0]
    members: tuple[Attr, ...] = tuple(member.name for member in group)
    starts: tuple[Attr, ...] = tuple(member.attrs["init"] for member in group)
    attrs = {key: value for key, value in first.attrs.items() if key not in ("init", "start")}
    own: dict[str, Attr] = {"members": members, "inits": starts}
    sources: tuple[Attr, ...] = tuple(m.attrs.get("start", m.name) for m in group)
    if sources != members:
        own["sources"] = sources
    return replace(first, name=stack_name(group), attrs={**attrs, **own})


def _stacked_write(group: list[Op], by_name: dict[str, Op]) -> Op:
    first = by_name[write_name(group[0].name)]
    roles, inputs = list(first.texts("roles")), list(first.inputs)
    inputs[0] = stack_name(group)
    if not group[0].flag("self_values"):
        at, count = roles.index("value"), roles.count("value")
        writes = [by_name[write_name(member.name)] for member in group]
        values = [name for write in writes for name in write.inputs[at : at + count]]
        roles[at : at + count] = ["value"] * len(values)
        inputs[at : at + count] = values
    return replace(
        first,
        name=write_name(stack_name(group)),
        inputs=tuple(inputs),
        attrs={**first.attrs, "roles": tuple(roles)},
    )


def _renamed_read(read: Op, renamed: dict[str, tuple[str, int]]) -> Op:
    memory = read.inputs[0]
    if memory not in renamed:
        return read
    stack, index = renamed[memory]
    inputs = (stack, read.inputs[1], *([write_name(stack)] if len(read.inputs) > 2 else []))
    return replace(read.with_attrs(member=(index,)), inputs=inputs)


def _merged_reads(ops: list[Op]) -> Iterator[Op]:
    """Turn reads of one stack at one moment into one read and its parts."""
    joint = {op.name: group for group in _joint_groups(ops) for op in group}
    for op in ops:
        group = joint.get(op.name)
        if group is None:
            yield op
            continue
        if op is group[0]:
            yield _joint_read(group)
        at = sum(other.width or 0 for other in group[: group.index(op)])
        yield Op(
            name=op.name,
            kind="part",
            inputs=(f"{group[0].name}.read",),
            attrs={"start": at},
            width=op.width,
            span=op.span,
        )


def _joint_groups(ops: list[Op]) -> list[list[Op]]:
    order = graph(ops)
    groups: list[list[Op]] = []
    for op in ops:
        if op.kind != "read" or "member" not in op.attrs:
            continue
        for group in groups:
            if _joinable(group[0], op) and not any(
                reaches(order, a.name, b.name) for one in group for a, b in ((one, op), (op, one))
            ):
                group.append(op)
                break
        else:
            groups.append([op])
    return [sorted(group, key=_member) for group in groups if len(group) > 1]


def _joinable(one: Op, other: Op) -> bool:
    """Return whether two reads ask one stack at one moment; running reads need one query, too."""
    moment = (one.inputs[0], one.inputs[2:], one.text("at"), one.flag("carried"))
    if moment != (other.inputs[0], other.inputs[2:], other.text("at"), other.flag("carried")):
        return False
    return one.inputs[1] == other.inputs[1] or one.text("at") == "boundary"


def _member(read: Op) -> int:
    members = read.attrs["member"]
    assert isinstance(members, tuple)
    return int(str(members[0]))


def _joint_read(group: list[Op]) -> Op:
    first = group[0]
    queries = list(dict.fromkeys(op.inputs[1] for op in group))
    attrs: dict[str, Attr] = {"member": tuple(_member(op) for op in group)}
    if len(queries) > 1:
        attrs["query"] = tuple(queries.index(op.inputs[1]) for op in group)
    return replace(
        first.with_attrs(**attrs),
        name=f"{first.name}.read",
        inputs=(first.inputs[0], *queries, *first.inputs[2:]),
        width=sum(op.width or 0 for op in group),
    )
