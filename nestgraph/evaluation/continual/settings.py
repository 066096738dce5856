"""Settings of all tasks in a row: what moves, what the model knows before, what ways need."""

from __future__ import annotations

from typing import Literal, TypeAlias

from nestgraph.evaluation.task import require
from nestgraph.findings import listed

Moves: TypeAlias = Literal["all", "levels", "reading"]
"""What learns in a stream: all parameters, or only memories on steps that the task moves; or
nothing is trained, and memories on tokens learn while the rows are read."""

RATES = {"all": (3e-4, 1e-3, 3e-3), "levels": (3e-4, 1e-3, 3e-3), "reading": (1e-4, 3e-4, 1e-3)}
"""Rates to choose from; those of reading are of sums of losses."""

NO_LABELS = "the texts that a base reads are those of the task"
MOST_STEPS = 10**6
MOST_ROWS = 10**6


def require_stream(*, moves: str, base: int, buffer: int, ewc: float) -> None:
    """Refuse settings that no stream has.

    Args:
        moves: what learns.
        base: steps of reading texts before the first task.
        buffer: rows that replay keeps.
        ewc: the strength of elastic weight consolidation.

    Raises:
        InputError: one is out of its range (NG931).
    """
    require(moves in RATES, f"`moves` (={moves}) must be {listed(RATES, 'or')}")
    require(0 <= base <= MOST_STEPS, f"`base` (={base}) must be from 0 to {MOST_STEPS}")
    require(1 <= buffer <= MOST_ROWS, f"`buffer` (={buffer}) must be from 1 to {MOST_ROWS}")
    require(0 <= ewc < 1e12, f"`ewc` (={ewc:g}) must be from 0 to 1e12")
