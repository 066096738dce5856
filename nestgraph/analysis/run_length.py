"""Equal repeats in a stack, told once.

`mamba, swiglu, attention, swiglu` three times over becomes four layers that each stand for
three, in one run that is told three times: they take turns, and none repeats by itself. Repeats
share one block object, so most comparisons are of identities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nestgraph.language.system import FlatBlock, Layer

_LONGEST_UNIT = 32  # layers that may repeat as a group


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Layers that repeat as a whole.

    Attributes:
        first: path of the first of them.
        length: how many layers of the stack they are.
        times: how often they follow each other.
    """

    first: str
    length: int
    times: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rolled:
    """A layer, and how many layers of the stack it stands for.

    Attributes:
        layer: the first of them.
        repeat: their number.
        runs: the runs that it is part of, the outer ones first.
    """

    layer: Layer
    repeat: int = 1
    runs: tuple[Run, ...] = ()

    @property
    def in_a_row(self) -> int:
        """Return how many of them follow each other with nothing in between."""
        return self.repeat // math.prod(run.times for run in self.runs)


def unrolled(layers: Sequence[Layer]) -> tuple[Rolled, ...]:
    """Return every layer for itself."""
    return tuple(Rolled(layer=layer) for layer in layers)


def roll_up(layers: Sequence[Layer]) -> tuple[Rolled, ...]:
    """Return the stack with consecutive repeats of a layer, or of a group of layers, told once."""
    return tuple(_roll(layers, _kinds(layers)))


def _kinds(layers: Sequence[Layer]) -> list[int]:
    """Return a number for each layer; equal blocks get equal numbers."""
    by_identity: dict[int, int] = {}
    by_name: dict[str, list[tuple[FlatBlock, int]]] = {}
    kinds: list[int] = []
    for layer in layers:
        block = layer.block
        if id(block) not in by_identity:
            seen = by_name.setdefault(block.name, [])
            equal = (kind for other, kind in seen[-_LONGEST_UNIT:] if other == block)
            by_identity[id(block)] = next(equal, len(by_identity))
            seen.append((block, by_identity[id(block)]))
        kinds.append(by_identity[id(block)])
    return kinds


def _roll(
    layers: Sequence[Layer], kinds: Sequence[int], around: tuple[Run, ...] = ()
) -> list[Rolled]:
    rolled: list[Rolled] = []
    times = math.prod(run.times for run in around)
    start = 0
    while start < len(layers):
        unit, count = _best_unit(kinds, start)
        stop = start + unit
        if unit == 1:
            rolled.append(Rolled(layer=layers[start], repeat=count * times, runs=around))
        else:
            run = Run(first=layers[start].path, length=unit, times=count)
            rolled += _roll(layers[start:stop], kinds[start:stop], (*around, run))
        start += unit * count
    return rolled


def _best_unit(kinds: Sequence[int], start: int) -> tuple[int, int]:
    """Return the group of layers at `start` whose repeats cover most: (its length, its repeats)."""
    best = (1, 1)
    for unit in range(1, min(_LONGEST_UNIT, (len(kinds) - start) // 2) + 1):
        count = _repeats(kinds, start, unit)
        if count > 1 and unit * count > best[0] * best[1]:
            best = (unit, count)
    return best


def _repeats(kinds: Sequence[int], start: int, unit: int) -> int:
    first = kinds[start : start + unit]
    count = 1
    while kinds[start + count * unit : start + (count + 1) * unit] == first:
        count += 1
    return count
