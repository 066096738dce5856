"""Fast memories: `task` memories on token clocks, which learn from the model's loss as it reads.

When they move, and how far their gradients look back. A tick at position t lies between t and
t + 1: it needs the loss of t, whose label is token t + 1, and so fires when that token arrives.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.system import Memory, Model


def fast_memories(model: Model) -> Iterator[tuple[str, Memory]]:
    """Every fast memory with the path of its layer."""
    for layer in model.layers:
        for memory in layer.block.memories.values():
            if memory.is_fast:
                yield layer.path, memory


def level_periods(model: Model) -> tuple[int, ...]:
    """Periods of the levels that fast memories move on, each once, the fastest first."""
    periods = {memory.level.period for _, memory in fast_memories(model)}
    return tuple(sorted(periods - {0}))


def tick_periods(model: Model) -> tuple[int, ...]:
    """Periods of everything that happens between two positions: moves, resets, the horizon."""
    resets = {memory.reset.period for _, memory in fast_memories(model)}
    return tuple(sorted({*level_periods(model), *resets, horizon(model)} - {0}))


def horizon(model: Model) -> int:
    """Tokens from cut to cut of the gradients through carried states; 0: they are never cut.

    Where every fast memory says `gradient: none` and the model says nothing, it is the fastest
    level, if the others are multiples of it: then nothing is differentiated across a tick.
    """
    if model.horizon is not None:
        return model.horizon.period
    moving = [memory for _, memory in fast_memories(model) if memory.level.period]
    if not moving or any(memory.gradient != "none" for memory in moving):
        return 0
    fastest, *others = level_periods(model)
    return 0 if any(period % fastest for period in others) else fastest


def last_tick(position: int, period: int) -> int:
    """The last tick of a period that has fired when `position` tokens were read; 0 before any."""
    return period * ((position - 1) // period) if period and position else 0


def base(model: Model, position: int) -> int:
    """Where everything that a coming gradient needs begins: the oldest open period, or horizon."""
    cut = horizon(model)
    periods = (cut,) if cut else level_periods(model) or tick_periods(model)
    return min((last_tick(position, period) for period in periods), default=position)


def is_linked(memory: Memory, source: Memory, position: int) -> bool:
    """Whether a memory still follows the one that it started as, when `position` is a tick.

    Its gradient then reaches that memory through the start: unless that one has moved since, or
    `gradient: none` has cut the memory's own move since.
    """
    started = _latest(memory.reset.period, position)
    moved = memory.gradient == "none" and _latest(memory.level.period, position) > started
    return _latest(source.level.period, position) <= started and not moved


def is_fresh(memory: Memory, position: int) -> bool:
    """Whether a memory has just started, when `position` is a tick."""
    return _latest(memory.reset.period, position) == position


def _latest(period: int, position: int) -> int:
    return position - position % period if period else 0


def graph_length(model: Model, memory: Memory) -> int:
    """Tokens that a fast memory's gradient is taken through at once; 0 if it never moves."""
    period = memory.level.period
    return min(period, horizon(model) or period)
