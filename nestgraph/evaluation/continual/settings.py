"""Settings of all tasks in a row: what moves, what the model knows before, what ways need."""

from __future__ import annotations

from typing import Literal, TypeAlias

from nestgraph.evaluation.task import require

Moves: TypeAlias = Literal["all", "levels"]
"""What learns in a stream: all parameters, or only memories on steps that the task moves."""

NO_LABELS = "the texts that a base reads are those of the task"
MOST_STEPS = 10**6
MOST_ROWS = 10**6


def require_stream(*, base: int, buffer: int, ewc: float) -> None:
    """Refuse settings that no stream has.

    Args:
        base: steps of reading texts before the first task.
        buffer: rows that replay keeps.
        ewc: the strength of elastic weight consolidation.

    Raises:
        InputError: one is out of its range (NG931).
    """
    require(0 <= base <= MOST_STEPS, f"`base` (={base}) must be from 0 to {MOST_STEPS}")
    require(1 <= buffer <= MOST_ROWS, f"`buffer` (={buffer}) must be from 1 to {MOST_ROWS}")
    require(0 <= ewc < 1e12, f"`ewc` (={ewc:g}) must be from 0 to 1e12")
