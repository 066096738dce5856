"""The clocks of a spec that count optimizer steps: all set to one, or all else left still."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.errors import InputError
from nestgraph.language.models import model_of
from nestgraph.language.spec import Spec
from nestgraph.language.system import STEP, Memory
from nestgraph.training import NestModule
from nestgraph.training.options import with_settings


def on_one_clock(spec: Spec) -> Spec:
    """Return the same spec, whose levels on steps all move at every step: as many MLPs, one
    clock.
    """
    slow = [
        name
        for name, clock in spec.system.clocks.items()
        if clock.unit == "steps" and clock.period != 1 and name != STEP.name
    ]
    return with_settings(spec, {f"levels.{name}": STEP.name for name in slow})


def has_clocks(spec: Spec) -> bool:
    """Return whether some memory moves at a step of its own."""
    return any(memory.level.period != 1 for _, memory in _groups(spec))


def still_but_levels(module: NestModule) -> None:
    """Keep all parameters where they are but the memories on steps that the task moves.

    Raises:
        InputError: there are none (NG946).
    """
    moving = levels_on_steps(module.spec)
    for name, parameter in module.model.weights.named().items():  # type: ignore[union-attr, operator]
        parameter.requires_grad_(parameter.requires_grad and name.startswith(moving))


def levels_on_steps(spec: Spec) -> tuple[str, ...]:
    """Return what the names of the parameters begin with that the task moves at steps of their own.

    Raises:
        InputError: there are none (NG946).
    """
    prefixes = tuple(f"{path}.{memory.name}." for path, memory in _groups(spec))
    if not prefixes:
        said = f"`moves=levels` leaves nothing to learn in `{spec.path}`"
        cure = "give it a memory with `objective: task` on a level of steps, or set `moves=all`"
        raise InputError("NG946", said, cure)
    return prefixes


def _groups(spec: Spec) -> Iterator[tuple[str, Memory]]:
    """Yield memories on steps that the task moves, with the path of their layer."""
    for layer in model_of(spec.system).layers:
        for memory in layer.block.memories.values():
            if memory.is_step_group:
                yield layer.path, memory
