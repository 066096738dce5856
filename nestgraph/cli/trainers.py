"""The memories of the optimizer that trains a model: how often they move, and what feeds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nestgraph.analysis.levels import OPTIMIZER, frequency, period
from nestgraph.analysis.optimizer_flows import heard_by
from nestgraph.graph.build import group_text
from nestgraph.language.system import Clock, System

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


def all_trainers(optimizer: System) -> Iterator[Trainer]:
    """Yield every memory of an opened optimizer, group by group."""
    for index, group in enumerate(optimizer.optimizer or ()):
        block = group.block
        assert block is not None, "an opened optimizer has no groups of other specs"
        for memory in block.memories.values():
            yield Trainer(
                path=f"{OPTIMIZER}/{index}.{block.name}/{memory.name}",
                group=group_text(group),
                clock=memory.level,
                sources=heard_by(block, memory),
            )


def trainer_rows(optimizer: System) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table, with its header."""
    yield HEADER
    for memory in all_trainers(optimizer):
        clock, sources = memory.clock, ", ".join(memory.sources)
        yield memory.path, memory.group, period(clock), frequency(clock), sources
