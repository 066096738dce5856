"""One memory, read, op or inner block of a spec: every value, and which line it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from nestgraph.analysis.levels import instances
from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.cli.columns import columns
from nestgraph.cli.parameter_rows import HEADER, row
from nestgraph.display.fields import Part, fields, kind
from nestgraph.errors import InputError
from nestgraph.findings import did_you_mean
from nestgraph.language.system import Node, System

LINK = re.compile(r"\.(base|then\d+)$")
"""What elaboration adds to the name of a node for the parts of its `then` chain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """One part, and all the places of the stack where it stands."""

    paths: tuple[str, ...]
    part: Part


def found_parts(system: System, address: str) -> tuple[Detail, ...]:
    """Return all parts that the address names, whole (`3.hope.a.q`) or by its end (`a.q`, `q`)."""
    members = members_of(system)
    return _alike((path, part) for path, part in members if _ends_with(path, address))


def all_parts(system: System) -> tuple[Detail, ...]:
    """Return every part of a system; layers that share a block share their parts."""
    return _alike(members_of(system))


def details(system: System, address: str, table: tuple[ParameterSpec, ...]) -> str:
    """Return the parts that an address names, or what is in the inner block of that name.

    Raises:
        InputError: nothing is called so.
    """
    found = found_parts(system, address)
    if not found:
        return _inner_blocks(system, address) or unknown(system, address)
    return "\n\n".join(_described(detail, table) for detail in found)


def owned(path: str, part: Part, table: tuple[ParameterSpec, ...]) -> list[ParameterSpec]:
    """Return the parameters of one part at one place."""
    return [spec for spec in table if _owns(path, part, spec.name)]


def members_of(system: System) -> Iterator[tuple[str, Part]]:
    """Yield every part with its whole path."""
    for path, block in instances(system):
        for name, part in block.parts.items():
            yield f"{path}.{name}", part


def _alike(members: Iterator[tuple[str, Part]]) -> tuple[Detail, ...]:
    groups: dict[int, list[tuple[str, Part]]] = {}
    for path, part in members:
        groups.setdefault(id(part), []).append((path, part))
    return tuple(
        Detail(paths=tuple(path for path, _ in group), part=group[0][1])
        for group in groups.values()
    )


def _described(detail: Detail, table: tuple[ParameterSpec, ...]) -> str:
    """Return one part: a title, its values, its parameters."""
    first, *others = detail.paths
    part = detail.part
    title = f"{first}  {kind(part)}" + (f", {part.span}" if part.span else "")
    if others:
        title += f"\n  and alike: {', '.join(others)}"
    rows = [(field.name, field.value, field.origin) for field in fields(part)]
    tensors = [row(spec) for spec in owned(first, part, table)]
    listed = f"\n  parameters\n{columns([HEADER, *tensors], indent=4)}" if tensors else ""
    return f"{title}\n{columns(rows, indent=2)}{listed}"


def _ends_with(path: str, address: str) -> bool:
    """Return whether the path, or that of the node whose chain it belongs to, ends with the
    address.
    """
    return any(f".{name}".endswith(f".{address}") for name in (path, LINK.sub("", path)))


def _owns(path: str, part: Part, parameter: str) -> bool:
    if isinstance(part, Node):
        layer = path.removesuffix(part.name)
        return parameter.rpartition(".")[0] == f"{layer}{part.owner}"
    return parameter.startswith(f"{path}.")


def _inner_blocks(system: System, address: str) -> str:
    members = members_of(system)
    return columns((path, kind(part)) for path, part in members if f".{address}." in f".{path}")


def unknown(system: System, address: str) -> NoReturn:
    """Say that nothing is called so, and what the author may have meant."""
    paths = {path for path, _ in members_of(system)}
    last = {path.rpartition(".")[2] for path in paths}
    message = f"`{address}` names no memory, read or op of this spec"
    raise InputError("NG803", message, did_you_mean(address, sorted(paths | last)))
