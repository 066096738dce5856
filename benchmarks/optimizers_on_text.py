"""Small models on real text under several optimizers, each at the best of the same learning rates.

Every optimizer first trains with each rate of the grid and seed 0; the rate with the lowest loss
then trains with two more seeds. What is finished is never trained again, so the command may be
stopped and given again until the table is full.
"""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import cells, environment
from benchmarks.failure import Diverged
from benchmarks.optimizer_plan import CELLS, MORE_SEEDS, Plan, Training, best_rate, current
from benchmarks.optimizer_table import tables
from benchmarks.pool import train_all
from benchmarks.training import Task, train


def compare(plan: Plan) -> int:
    """Train what isn't trained yet, print the tables, draw; 1 if a training failed."""
    plan.require_known()
    print(environment.sentence(environment.describe(plan.threads)), flush=True)
    failures: dict[str, str] = {}
    for model in () if plan.table_only else plan.models():
        failures |= _train(plan, _grid(plan, model))
        for seed in MORE_SEEDS:
            failures |= _train(plan, _repetitions(plan, model, seed))
    found = current(plan)
    print(f"\n{tables(plan, found)}")
    for name, why in failures.items():
        print(f"\n{name} failed: {why}")
    if plan.plot is not None:
        from benchmarks.optimizer_plot import draw

        draw(plan, found, plan.plot)
        print(f"\ndrawn in {plan.plot}")
    return 1 if failures else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """A training to do, with the words for it."""

    task: Task
    optimizer: str
    rate: float

    def __str__(self) -> str:
        return f"{self.task.spec}, {self.optimizer}, rate {self.rate:g}, seed {self.task.seed}"


def _grid(plan: Plan, model: str) -> Iterator[_Wish]:
    for optimizer, rate in itertools.product(plan.optimizers(), plan.rates):
        task = plan.task(model, optimizer, rate, 0)
        yield _Wish(task=task, optimizer=optimizer, rate=rate)


def _repetitions(plan: Plan, model: str, seed: int) -> Iterator[_Wish]:
    found = current(plan)
    for optimizer in plan.optimizers():
        rate = best_rate(found, model, optimizer)
        if rate is not None:
            task = plan.task(model, optimizer, rate, seed)
            yield _Wish(task=task, optimizer=optimizer, rate=rate)


def _train(plan: Plan, wishes: Iterable[_Wish]) -> dict[str, str]:
    done = {cell.key for cell in current(plan)}
    missing = {str(wish): wish for wish in wishes if wish.task.folder() not in done}
    return train_all(missing, partial(_fill, plan), jobs=plan.jobs)


def _fill(plan: Plan, wish: _Wish) -> None:
    """Train, and keep what came of it; a training that diverged is an answer as well."""
    task, nats, seconds, reason = wish.task, None, None, ""
    try:
        nats = train(task, plan.out, tell=plan.jobs == 1).nats
        seconds = _seconds_a_step(plan.out / task.folder())
    except Diverged as why:
        reason = str(why)
    cell = Training(
        key=task.folder(),
        spec=task.spec,
        optimizer=wish.optimizer,
        rate=wish.rate,
        seed=task.seed,
        steps=plan.steps,
        nats=nats,
        seconds=seconds,
        threads=task.threads,
        reason=reason,
    )
    cells.add(plan.out / CELLS, cell)


def _seconds_a_step(run: Path) -> float:
    """Return forward, backward and update: the median, for others may have used the machine."""
    with (run / "times.csv").open(newline="", encoding="utf-8") as file:
        return statistics.median(float(row["seconds"]) for row in csv.DictReader(file))
