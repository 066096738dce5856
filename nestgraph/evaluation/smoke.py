"""A smoke test of a table: the whole way in minutes, before hours go into it.

Everything is done that the table does, its sides, controls and parts among it, on less of
everything: the numbers are none to compare by, and the table says so.
"""

from __future__ import annotations

from dataclasses import replace

from nestgraph.evaluation.choosing import make
from nestgraph.evaluation.task import Task

SHARE = 20  # of the steps of a task, and of the steps of a base before it
ROWS = 64  # that are scored, at most
SEEDS = (0,)


def smoked(task: Task) -> Task:
    """Return a task with a twentieth of its steps, the middle one of its rates, and 64 rows to
    score.

    A stream of tasks keeps a step for each at least; its base has a twentieth of its steps, which
    its label tells.
    """
    base = task.settings.get("base")
    if isinstance(base, int) and base:
        task = make(task.name, **{**task.settings, "base": max(1, base // SHARE)})
    return replace(
        task,
        steps=max(1, len(task.parts), task.steps // SHARE),
        rates=(task.rates[len(task.rates) // 2],),
        rows=min(task.rows, ROWS),
    )
