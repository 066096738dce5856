"""One memory, read, op or inner block of a spec: every value, and which line it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nestgraph.cli import wording
from nestgraph.cli.columns import columns
from nestgraph.cli.parameter_rows import HEADER, row
from nestgraph.describe import (
    coefficient_text,
    init_text,
    local,
    net_text,
    objective_text,
    values_text,
)
from nestgraph.errors import InputError
from nestgraph.findings import did_you_mean
from nestgraph.levels import instances
from nestgraph.parameters import ParameterSpec
from nestgraph.system import Memory, Node, Read, System

Part = Memory | Node | Read
LINK = re.compile(r"\.(base|then\d+)$")
"""What elaboration adds to the name of a node for the parts of its `then` chain."""


def details(system: System, address: str, table: tuple[ParameterSpec, ...]) -> str:
    """All parts that the address names, whole (`3.hope.a.q`) or by its end (`a.q`, `q`)."""
    members = list(_members(system))
    found = [(path, part) for path, part in members if _ends_with(path, address)]
    if not found:
        return _inner_blocks(members, address) or _unknown(members, address)
    groups: dict[int, list[tuple[str, Part]]] = {}
    for path, part in found:
        groups.setdefault(id(part), []).append((path, part))
    return "\n\n".join(
        describe([path for path, _ in group], group[0][1], table) for group in groups.values()
    )


def describe(paths: list[str], part: Part, table: tuple[ParameterSpec, ...]) -> str:
    """One part: a title, its values, its parameters."""
    title = f"{paths[0]}  {_kind(part)}" + (f", {part.span}" if part.span else "")
    if len(paths) > 1:
        title += f"\n  and alike: {', '.join(paths[1:])}"
    body = columns(_rows(part), indent=2)
    owned = [row(spec) for spec in table if _owns(paths[0], part, spec.name)]
    tensors = f"\n  parameters\n{columns([HEADER, *owned], indent=4)}" if owned else ""
    return f"{title}\n{body}{tensors}"


def _members(system: System) -> Iterator[tuple[str, Part]]:
    for path, block in instances(system):
        for name, part in {**block.memories, **block.nodes}.items():
            yield f"{path}.{name}", part


def _ends_with(path: str, address: str) -> bool:
    """Whether the path, or that of the node whose chain it belongs to, ends with the address."""
    return any(f".{name}".endswith(f".{address}") for name in (path, LINK.sub("", path)))


def _kind(part: Part) -> str:
    match part:
        case Memory():
            return "memory"
        case Read():
            return "read"
        case Node():
            return "op"


def _rows(part: Part) -> list[tuple[str, str, str]]:
    return [(name, text, _origin(part, name)) for name, text in _values(part)]


def _origin(part: Part, name: str) -> str:
    span = part.spans.get(name) or (part.span if name in ("op", "read") else None)
    if span is not None:
        return f"from {span}"
    return "by the order of the chain" if name == "in" else "by default"


def _values(part: Part) -> Iterator[tuple[str, str]]:
    match part:
        case Memory():
            yield from _memory_values(part)
        case Read():
            yield "read", part.memory
            yield "query", wording.plain(part.query)
            yield "at", part.at
        case Node():
            yield "op", part.op
            yield "in", ", ".join(part.inputs)
            yield from ((name, wording.plain(value)) for name, value in part.fields.items())


def _memory_values(memory: Memory) -> Iterator[tuple[str, str]]:
    yield "net", net_text(memory.net)
    yield "heads", str(memory.heads)
    yield "level", wording.clock(memory.level)
    yield "keys", ", ".join(map(local, memory.keys)) or "none"
    yield "values", values_text(memory) or "none"
    yield "init", init_text(memory)
    if memory.net.kind == "attention":
        return
    yield "objective", objective_text(memory)
    if memory.is_step_group:
        return
    yield from _rule_values(memory)
    yield "reset", wording.clock(memory.reset)
    yield "gradient", memory.gradient


def _rule_values(memory: Memory) -> Iterator[tuple[str, str]]:
    rule = memory.rule
    for name in ("rate", "momentum", "retain"):
        yield f"rule.{name}", coefficient_text(getattr(rule, name))
    yield "rule.retain_first", wording.plain(rule.retain_first)
    yield "rule.erase", wording.erase(rule.erase)
    yield "rule.implicit", wording.plain(rule.implicit)
    yield "rule.direction", rule.direction
    yield "rule.step", coefficient_text(rule.step)
    yield "rule.mirror", rule.mirror
    yield "rule.reduce", rule.reduce


def _owns(path: str, part: Part, parameter: str) -> bool:
    if isinstance(part, Node):
        layer = path.removesuffix(part.name)
        return parameter.rpartition(".")[0] == f"{layer}{part.owner}"
    return parameter.startswith(f"{path}.")


def _inner_blocks(members: list[tuple[str, Part]], address: str) -> str:
    inside = [(path, _kind(part)) for path, part in members if f".{address}." in f".{path}"]
    return columns(inside)


def _unknown(members: list[tuple[str, Part]], address: str) -> str:
    last = {path.rpartition(".")[2] for path, _ in members}
    hint = did_you_mean(address, sorted({path for path, _ in members} | last))
    message = f"`{address}` names no memory, read or op of this spec"
    raise InputError("NG803", message, hint)
