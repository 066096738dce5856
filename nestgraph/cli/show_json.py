"""What `nestgraph show --json` prints: the same as the text, for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from nestgraph.analysis.costs import Cost, costs, level_costs, total
from nestgraph.analysis.levels import frequency
from nestgraph.analysis.moving import moving
from nestgraph.analysis.parameters import ParameterSpec, parameter_table
from nestgraph.cli.details import Detail, all_parts, found_parts, owned, unknown
from nestgraph.cli.trainers import all_trainers
from nestgraph.display.fields import Field, fields, kind, training_fields
from nestgraph.errors import Span
from nestgraph.language.spec import Spec
from nestgraph.language.system import Read, System

Json = dict[str, Any]


def as_text(spec: Spec, node: str | None, measured: bool) -> str:
    """Return the whole spec, or the list of parts that a node's name fits, as JSON.

    Raises:
        InputError: nothing is called `node`.
    """
    if node is None:
        return _text(whole(spec, measured))
    found = found_parts(spec.system, node) or unknown(spec.system, node)
    return _text(_parts(spec.system, found))


def whole(spec: Spec, measured: bool) -> Json:
    """Return everything that `show` knows of a spec; measured costs only if asked for."""
    system = spec.system
    told: Json = {
        "name": system.name,
        "doc": system.doc,
        "file": spec.path,
        "files": [{"file": file, "from": str(place)} for place, file in spec.names.items()],
        "levels": [_level(row, cost) for row, cost in level_costs(system)],
        "optimizer": _optimizer(system),
        "vars": [_field(field) for field in spec.variables()],
        "training": [_field(field) for field in training_fields(system.training)],
        "parameters": [_parameter(row) for row in parameter_table(system)],
        "nodes": _parts(system, all_parts(system)),
        "kernels": _kernels(system),
        "cost": _cost(total(system)),
        "resolved": spec.resolved_yaml(),
    }
    if measured and system.model is not None:
        from nestgraph.compiler.cost import measure

        told["measured"] = dataclasses.asdict(measure(system))
    return told


def _level(row: Any, cost: Cost) -> Json:
    return {
        "rank": row.rank,
        "name": row.name,
        "period": row.clock.period,
        "unit": row.clock.unit,
        "frequency": row.frequency,
        "trains": row.trains,
        "memories": list(row.memories),
        "optimizer": list(row.optimizer),
        **_cost(cost),
    }


def _optimizer(system: System) -> Json | None:
    """Return what trains a model; None for an optimizer, which is shown as a whole."""
    trained = moving(system)
    if trained is None:
        return None
    trainer = trained.system
    memories = [
        {
            "path": memory.path,
            "for": memory.group,
            "level": memory.clock.name,
            "period": memory.clock.period,
            "unit": memory.clock.unit,
            "frequency": frequency(memory.clock),
            "learns_from": list(memory.sources),
        }
        for memory in all_trainers(trainer)
    ]
    return {"name": trainer.name, "doc": trainer.doc, "memories": memories}


def _cost(cost: Cost) -> Json:
    return {
        "parameters": cost.parameters,
        "state_bytes": cost.state_bytes,
        "flops_per_token": cost.flops,
    }


def _parts(system: System, found: Iterable[Detail]) -> list[Json]:
    table, known = parameter_table(system), costs(system)
    return [_part(detail, table, known) for detail in found]


def _part(detail: Detail, table: tuple[ParameterSpec, ...], known: dict[str, Cost]) -> Json:
    path, part = detail.paths[0], detail.part
    layer = path.removesuffix(f".{part.name}")
    told: Json = {
        "paths": list(detail.paths),
        "kind": kind(part),
        **_place(part.span),
        "values": [_field(field) for field in fields(part)],
        "parameters": [_parameter(row) for row in owned(path, part, table)],
    }
    if not isinstance(part, Read):  # a read's cost is its memory's
        told |= _cost(known.get(f"{layer}/{part.name}", Cost()))
    return told


def _field(field: Field) -> Json:
    return {"name": field.name, "value": field.value, "origin": _origin(field)}


def _origin(field: Field) -> Json | str:
    if field.span is None:
        return "chain" if field.implied else "default"
    return _place(field.span)


def _place(span: Span | None) -> Json:
    return {
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
    }


def _parameter(spec: ParameterSpec) -> Json:
    return dataclasses.asdict(spec) | {"size": spec.size}


def _kernels(system: System) -> list[Json] | None:
    """Return the plan's kernels; None where nothing runs the spec yet."""
    from nestgraph import compiler
    from nestgraph.analysis.support import unsupported

    if system.model is None or unsupported(system):
        return None
    return [
        {**dataclasses.asdict(memory), "layers": list(function.layers), "slow": memory.slow}
        for function in compiler.plan(system).functions
        for memory in function.memories
    ]


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
