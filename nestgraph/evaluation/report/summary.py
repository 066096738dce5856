"""Cells summed up: for each side of a task its means over seeds, and its differences by pairs.

An error is a standard error over seeds. A side that was made from another one is compared with it
seed by seed, on equal rows from equally seeded weights.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nestgraph.errors import InputError
from nestgraph.evaluation.cells import Cell
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.procedures import SCORE
from nestgraph.evaluation.task import Task


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean with its standard error.

    Attributes:
        value: the mean.
        error: of it; None for one number.
        of: how many numbers.
    """

    value: float
    error: float | None
    of: int

    def __str__(self) -> str:
        return f"{self.value:.4f}" + ("" if self.error is None else f" ± {self.error:.4f}")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A side of a task.

    Attributes:
        side: its name.
        of: the side that it was made from; empty if there is none.
        results: its cells, one for each seed.
        tuned: the cells that chose its rate.
        difference: of its score to that of the other side, over the seeds of both; None without.
    """

    side: str
    of: str
    results: tuple[Cell, ...]
    tuned: tuple[Cell, ...]
    difference: Mean | None

    def mean(self, score: str) -> Mean | None:
        """Return the mean of a score; None if no seed has it."""
        return mean_of(cell.scores.get(score) for cell in self.results)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all scores."""
        return tuple(dict.fromkeys(name for cell in self.results for name in cell.scores))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All sides of a task.

    Attributes:
        label: of the task, with its settings.
        task: the task; None if this version has none of this label.
        rows: its sides, in the order of their first cells.
    """

    label: str
    task: Task | None
    rows: tuple[Row, ...]

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores, the one by which sides are compared first."""
        names = [name for row in self.rows for name in row.names]
        return tuple(dict.fromkeys((SCORE, *names)))


def summaries(cells: Iterable[Cell]) -> list[Summary]:
    """Return every task of some cells, in the order of their first cells."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.task, []).append(cell)
    return [
        Summary(label=label, task=_task(label), rows=tuple(_rows(group)))
        for label, group in groups.items()
    ]


def mean_of(values: Iterable[float | None]) -> Mean | None:
    """Return the mean of the numbers among some values, with its standard error."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    several = len(numbers) > 1
    error = statistics.stdev(numbers) / math.sqrt(len(numbers)) if several else None
    return Mean(value=statistics.fmean(numbers), error=error, of=len(numbers))


def _rows(cells: Sequence[Cell]) -> Iterator[Row]:
    sides: dict[str, list[Cell]] = {}
    for cell in cells:
        sides.setdefault(cell.side, []).append(cell)
    for side, own in sides.items():
        other = sides.get(own[0].of, [])
        yield Row(
            side=side,
            of=own[0].of,
            results=tuple(cell for cell in own if cell.is_result),
            tuned=tuple(cell for cell in own if not cell.is_result),
            difference=_difference(own, other),
        )


def _difference(own: Iterable[Cell], other: Iterable[Cell]) -> Mean | None:
    base = {cell.seed: cell.score for cell in other if cell.is_result}
    pairs = [(cell.score, base.get(cell.seed)) for cell in own if cell.is_result]
    return mean_of(a - b for a, b in pairs if a is not None and b is not None)


def _task(label: str) -> Task | None:
    try:
        return find_task(label)
    except InputError:
        return None
