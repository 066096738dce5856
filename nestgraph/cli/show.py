"""`nestgraph show`: what a spec says once everything is filled in, without running it."""

from __future__ import annotations

import typer

from nestgraph.cli.columns import columns, section
from nestgraph.cli.details import details
from nestgraph.cli.opening import open_spec
from nestgraph.cli.parameter_rows import HEADER, parameter_rows
from nestgraph.levels import LevelRow, levels
from nestgraph.parameters import parameter_table
from nestgraph.spec import Spec
from nestgraph.system import System


def show_spec(path: str, node: str | None, changes: list[str]) -> None:
    """Prints the whole spec, or one node of it."""
    with open_spec(path, changes) as spec:
        if node is not None:
            typer.echo(details(spec.system, node, parameter_table(spec.system)))
            return
        typer.echo(overview(spec))


def overview(spec: Spec) -> str:
    """Title, levels, parameters, resolved values."""
    system = spec.system
    title = f"{system.name}  {system.doc}\n{spec.path}"
    parts = [title, section("Levels, the outermost first", _levels(system))]
    if system.model is not None:
        parts.append(_parameters(system))
    parts.append(section("Resolved", spec.resolved_yaml().rstrip()))
    return "\n\n".join(parts)


def _levels(system: System) -> str:
    rows = [(row.rank, row.name, row.period, row.frequency, _held(row)) for row in levels(system)]
    return columns([("rank", "level", "moves", "frequency", "holds"), *rows], indent=2)


def _held(row: LevelRow) -> str:
    count = len(row.memories)
    held = [f"{count} " + ("memory" if count == 1 else "memories")] if count else []
    return ", ".join([*(["parameters"] if row.trains else []), *held])


def _parameters(system: System) -> str:
    table = parameter_table(system)
    total = sum(spec.size for spec in table)
    rows = [HEADER, *parameter_rows(system, table)]
    return section(f"Parameters: {total:,}", columns(rows, indent=2))
