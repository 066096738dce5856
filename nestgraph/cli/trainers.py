"""The memories of the optimizer that trains a model: how often they move, and what feeds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nestgraph.graph import group_text
from nestgraph.levels import frequency, period, trainers
from nestgraph.optimizer_flows import heard_by
from nestgraph.system import Clock, System

HEADER = ("memory", "of", "moves", "frequency", "learns from")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trainer:
    """One memory of an optimizer.

    Attributes:
        path: its id, as the levels have it; `param` is the model's own parameter.
        group: the parameters that it is kept for.
        clock: of its level.
        sources: what it learns from, `grad` or other memories.
    """

    path: str
    group: str
    clock: Clock
    sources: tuple[str, ...]


def trainer_of(system: System) -> System | None:
    """The optimizer of a model, named or written out in `training`."""
    return None if system.model is None else system.training.system


def all_trainers(optimizer: System) -> Iterator[Trainer]:
    """Every memory, group by group."""
    for path, groups, block in trainers(optimizer):
        for memory in block.memories.values():
            yield Trainer(
                path=f"{path}/{memory.name}",
                group=": ".join(map(group_text, groups)),
                clock=memory.level,
                sources=heard_by(block, memory),
            )


def trainer_rows(optimizer: System) -> Iterator[tuple[str, ...]]:
    """The rows of a table, with its header."""
    yield HEADER
    for memory in all_trainers(optimizer):
        clock, sources = memory.clock, ", ".join(memory.sources)
        yield memory.path, memory.group, period(clock), frequency(clock), sources
