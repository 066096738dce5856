"""`nestgraph show`: what a spec says once everything is filled in, without running it."""

from __future__ import annotations

from collections.abc import Iterable

from nestgraph.analysis.costs import Cost, level_costs, total
from nestgraph.analysis.flops import BACKWARD
from nestgraph.analysis.levels import LevelRow
from nestgraph.analysis.moving import moving
from nestgraph.analysis.parameters import parameter_table
from nestgraph.cli.columns import columns, section
from nestgraph.cli.details import details
from nestgraph.cli.opening import open_spec
from nestgraph.cli.parameter_rows import HEADER, parameter_rows
from nestgraph.cli.saying import say
from nestgraph.cli.trainers import trainer_rows
from nestgraph.display.fields import Field, training_fields
from nestgraph.display.wording import count, size
from nestgraph.language.spec import Spec
from nestgraph.language.system import System

LEVELS = ("rank", "level", "moves", "frequency", "holds", "parameters", "state", "FLOPs a token")


def show_spec(
    path: str, node: str | None, changes: list[str], costs: bool = False, as_json: bool = False
) -> None:
    """Print the whole spec, or one node of it.

    Args:
        path: of the spec, or its name.
        node: the whole path of a part, or the end of it.
        changes: as `--set` gave them.
        costs: measure what the kernels cost, too, which imports PyTorch.
        as_json: for programs.
    """
    with open_spec(path, changes) as spec:
        if as_json:
            from nestgraph.cli.show_json import as_text

            say(as_text(spec, node, costs))
        elif node is not None:
            say(details(spec.system, node, parameter_table(spec.system)))
        else:
            say(overview(spec, costs))


def overview(spec: Spec, costs: bool = False) -> str:
    """Return title, levels, optimizer, kernels, parameters, costs, vars, training, files, all
    values.
    """
    system = spec.system
    parts = [
        f"{system.name}  {system.doc}\n{spec.path}",
        section("Levels, the outermost first", _levels(system)),
    ]
    if (trainer := moving(system)) is not None:
        title = f"Optimizer: {trainer.system.name}, whose context is the gradients of the task"
        parts.append(section(title, columns(trainer_rows(trainer.system), indent=2)))
    if system.model is not None:
        parts += [section("Kernels", _kernels(system)), _parameters(system), _formulas(system)]
    if costs and system.model is not None:
        parts.append(section("Costs, measured on the compiled kernels", _measured(system)))
    if variables := spec.variables():
        parts.append(section("Vars", _fields(variables)))
    if system.model is not None:
        parts.append(section("Training", _fields(training_fields(system.training))))
    if spec.names:
        parts.append(section("Files that it names", columns(_files(spec), indent=2)))
    parts.append(section("Resolved", spec.resolved_yaml().rstrip()))
    return "\n\n".join(parts)


def _files(spec: Spec) -> list[tuple[str, str]]:
    """Return the file that each name means, and where the name is written."""
    return [(file, f"from {place}") for place, file in spec.names.items()]


def _levels(system: System) -> str:
    return columns([LEVELS, *(_level(row, cost) for row, cost in level_costs(system))], indent=2)


def _level(row: LevelRow, cost: Cost) -> tuple[object, ...]:
    told = (row.rank, row.name, row.period, row.frequency, _held(row))
    return (
        *told,
        f"{cost.parameters:,}" if cost.parameters else "",
        size(cost.state_bytes) if cost.state else "",
        count(cost.flops) if cost.flops else "",
    )


def _held(row: LevelRow) -> str:
    held = len(row.memories)
    told = [f"{held} " + ("memory" if held == 1 else "memories")] if held else []
    told += [f"{len(row.optimizer)} of the optimizer"] if row.optimizer else []
    return ", ".join([*(["parameters"] if row.trains else []), *told])


def _kernels(system: System) -> str:
    """Return the kernel of each memory and why, or what nothing runs yet."""
    from nestgraph import compiler
    from nestgraph.analysis.support import unsupported

    if refused := unsupported(system):
        return "\n".join(f"  {finding}" for finding in refused)
    rows = [
        (", ".join(memory.members), memory.kernel, "SLOW" if memory.slow else "", memory.why)
        for function in compiler.plan(system).functions
        for memory in function.memories
    ]
    return columns(rows, indent=2) if rows else "  no memories"


def _parameters(system: System) -> str:
    table = parameter_table(system)
    learned = sum(spec.size for spec in table)
    rows = [HEADER, *parameter_rows(system, table)]
    return section(f"Parameters: {learned:,}", columns(rows, indent=2))


def _formulas(system: System) -> str:
    cost, context = total(system), system.training.context
    forward = count(cost.flops)
    trained = count((1 + BACKWARD) * cost.flops)
    rows = [
        ("FLOPs a token", f"{forward} forward, about {trained} with backward"),
        ("state of a sequence", f"{size(cost.state_bytes)} after {context:,} tokens, in float32"),
    ]
    return section(
        "Costs, by formula: matrix products, one position after another", columns(rows, indent=2)
    )


def _measured(system: System) -> str:
    from nestgraph.compiler.cost import measure

    cost = measure(system)
    a_token = [flops / cost.tokens for flops in (cost.forward, cost.backward)]
    rows = [
        ("FLOPs a token", f"{count(a_token[0])} forward, {count(a_token[1])} backward"),
        ("parameters", size(cost.parameter_bytes)),
        ("state of a sequence", size(sum(cost.state_bytes.values()))),
        ("kept for backward", f"{size(cost.kept_bytes)} a sequence of {cost.tokens:,} tokens"),
    ]
    return columns(rows, indent=2)


def _fields(fields: Iterable[Field]) -> str:
    return columns([(field.name, field.value, field.origin) for field in fields], indent=2)
