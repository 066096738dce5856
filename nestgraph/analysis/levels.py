"""The levels of a system: its clocks, ranked by update frequency (Definition 2 of the paper).

A row is a clock. Rank 1 is the slowest, the outermost; ranks grow with frequency. Order is
derived from the clocks alone: what never moves, then step clocks, then token clocks (each
faster than every step clock), then attention, which is recomputed at every token. The `step`
level always exists: parameters, optimizer and task loss live there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nestgraph.analysis.moving import moving
from nestgraph.language.system import STEP, Clock, FlatBlock, Memory, System

RECOMPUTED = Clock(name="attention", unit="tokens", period=0)
"""The clock of attention: infinitely fast, its state is recomputed at every token."""

OPTIMIZER = "optimizer"
"""Begins the ids of an optimizer's memories where they stand beside a model's."""

Held = tuple[Clock, str]
Order = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelRow:
    """One level.

    Attributes:
        rank: 1 is the outermost, slowest level.
        clock: how often it ticks; `RECOMPUTED` for attention.
        name: every name that the spec gives this clock.
        memories: ids such as `3.hope/a.M_k`, in the order of the model.
        trains: whether parameters, optimizer and task loss live here.
        optimizer: ids of the optimizer's memories, such as `optimizer/0.m3/M1`, where a model's
            levels are asked for together with those of what trains it.
    """

    rank: int
    clock: Clock
    name: str
    memories: tuple[str, ...]
    trains: bool
    optimizer: tuple[str, ...] = ()

    @property
    def foreign(self) -> bool:
        """Return whether only the optimizer of a model has this clock."""
        return bool(self.optimizer) and not self.memories and not self.trains

    @property
    def frequency(self) -> str:
        """Updates per token or per step, as text."""
        return frequency(self.clock)

    @property
    def period(self) -> str:
        """The clock in words: `every 16 tokens`."""
        return period(self.clock)


def frequency(clock: Clock) -> str:
    """Update per token or per step: `1/16 per token`, `0`, `∞`."""
    if clock.unit == "never":
        return "0"
    if clock.period == 0:
        return "∞"
    share = "1" if clock.period == 1 else f"1/{clock.period}"
    return f"{share} per {clock.unit.removesuffix('s')}"


def period(clock: Clock) -> str:
    """Return how often a clock ticks, in words."""
    if clock.unit == "never":
        return "never, frozen"
    if clock.period == 0:
        return "recomputed at every token"
    if clock.period == 1:
        return f"every {clock.unit.removesuffix('s')}"
    return f"every {clock.period} {clock.unit}"


def clock_of(memory: Memory) -> Clock:
    """Return the clock that a memory's row stands for."""
    return RECOMPUTED if memory.net.kind == "attention" else memory.level


def instances(system: System) -> Iterator[tuple[str, FlatBlock]]:
    """Yield every block of the stack, or of an optimizer's groups, with the path of its
    instance.
    """
    if system.model is not None:
        yield from ((layer.path, layer.block) for layer in system.model.layers)
    for index, group in enumerate(system.optimizer or ()):
        if group.block is not None:
            yield f"{index}.{group.block.name}", group.block


def levels(system: System) -> tuple[LevelRow, ...]:
    """Return the levels that a system has, outermost first."""
    return _ranked(_held(system), ())


def nested_levels(system: System) -> tuple[LevelRow, ...]:
    """Return the levels of a model and of the optimizer that trains it, as one hierarchy.

    What the optimizer keeps for a parameter stands on the level on which that moves. The same as
    `levels` where there is no such optimizer.
    """
    trainer = moving(system)
    if trainer is None:
        return levels(system)
    moved = ((clock, f"{OPTIMIZER}/{name}") for clock, name in _held(trainer.system))
    return _ranked(_held(system), moved)


def _held(system: System) -> Iterator[Held]:
    for path, block in instances(system):
        for memory in block.memories.values():
            yield clock_of(memory), f"{path}/{memory.name}"


def _ranked(own: Iterable[Held], trained_by: Iterable[Held]) -> tuple[LevelRow, ...]:
    rows: dict[Order, tuple[list[Held], list[Held]]] = {_order(STEP): ([], [])}
    for place, held in enumerate((own, trained_by)):
        for clock, name in held:
            rows.setdefault(_order(clock), ([], []))[place].append((clock, name))
    return tuple(
        _row(rank, order, *rows[order]) for rank, order in enumerate(sorted(rows), start=1)
    )


def _order(clock: Clock) -> Order:
    """Sort clocks from slow to fast; clocks of one frequency share a level."""
    if clock.unit == "never":
        return 0, 0
    if clock.period == 0:
        return 3, 0
    return (1 if clock.unit == "steps" else 2), -clock.period


def _row(rank: int, order: Order, own: list[Held], trained_by: list[Held]) -> LevelRow:
    trains = order == _order(STEP)
    clocks = [*([STEP] if trains else []), *(clock for clock, _ in (*own, *trained_by))]
    return LevelRow(
        rank=rank,
        clock=clocks[0],
        name=", ".join(_names(clocks)),
        memories=tuple(memory for _, memory in own),
        trains=trains,
        optimizer=tuple(memory for _, memory in trained_by),
    )


def _names(clocks: Iterable[Clock]) -> Iterable[str]:
    return dict.fromkeys(clock.name for clock in clocks)
