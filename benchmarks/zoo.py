"""Trains every system of the zoo in nanoGPT's CPU setting for Shakespeare, and makes one table.

Each system's `-tiny` spec is a cell, or three with three seeds: systems that are compared by name,
and the first ten of the table. What is finished is never trained again, so the command may be
stopped and given again until the table is full.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock

from benchmarks import cells, environment
from benchmarks.cells import Cell
from benchmarks.failure import BenchmarkError
from benchmarks.pool import train_all
from benchmarks.training import Task, train
from benchmarks.zoo_table import table
from nestgraph.language import zoo
from nestgraph.language.spec import load

THREE_SEEDS = (
    *("hope", "hope-attention", "transformer", "titans-lmm", "gated-deltanet", "ttt-linear"),
)
FIRST = 10  # that also get three seeds
CELLS = "cells.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        only: names of systems; all of them if empty.
        steps: in place of the specs' own.
        data: in place of the specs' own.
        jobs: trainings at a time.
        threads: that PyTorch may use in each.
        out: the folder that keeps runs and cells.
        table_only: whether to print what is finished and train nothing.
        speeds_only: whether to measure the speed of what is finished once more, and train nothing.
    """

    only: tuple[str, ...]
    steps: int | None
    data: str | None
    jobs: int
    threads: int
    out: Path
    table_only: bool
    speeds_only: bool

    def systems(self) -> tuple[str, ...]:
        """Return names of the systems that have a tiny size.

        Raises:
            BenchmarkError: when a name that was asked for isn't among them.
        """
        known = tuple(family.name for family in zoo.families() if "tiny" in family.sizes)
        wanted = tuple(name.removesuffix("-tiny") for name in self.only)
        for name in wanted:
            if name not in known:
                raise BenchmarkError(f"no system of the zoo is called `{name}`: `nestgraph list`")
        return tuple(name for name in known if not wanted or name in wanted)

    def tasks(self) -> list[Task]:
        """Return trainings that are known at once; each first seed before anybody's second one."""
        systems = self.systems()
        return [
            self.task(name, seed)
            for seed in range(3)
            for name in systems
            if seed == 0 or name in THREE_SEEDS
        ]

    def tasks_of_first(self, found: Iterable[Cell]) -> list[Task]:
        """Return the second and third seeds of the systems whose first seed reads best.

        Args:
            found: the cells of the whole table; of some systems nobody is the first.
        """
        if self.only:
            return []
        single = sorted((cell for cell in found if cell.seed == 0), key=lambda cell: cell.nats)
        first = [zoo.split(cell.spec)[0] for cell in single[:FIRST]]
        return [self.task(name, seed) for seed in (1, 2) for name in first]

    def task(self, name: str, seed: int, steps: int | None = None) -> Task:
        """Return one training."""
        settings = {} if self.data is None else {"training.data": self.data}
        return Task(
            spec=f"{name}-tiny",
            seed=seed,
            threads=self.threads,
            settings=settings,
            steps=steps or self.steps,
        )


def fill_zoo(plan: Plan) -> int:
    """Train what isn't trained yet and print the table; 1 if a training failed."""
    file = plan.out / CELLS
    print(environment.sentence(environment.describe(plan.threads)), flush=True)
    failures: dict[str, str] = {}
    if plan.speeds_only:
        _measure_again(plan, file)
    elif not plan.table_only:
        failures = _train(plan, file, plan.tasks())
        failures |= _train(plan, file, plan.tasks_of_first(current(plan, cells.kept(file))))
    print(f"\n{table(current(plan, cells.kept(file)))}")
    for name, why in failures.items():
        print(f"\n{name} failed: {why}")
    return 1 if failures else 0


def current(plan: Plan, found: Iterable[Cell]) -> list[Cell]:
    """Return the cells of the specs as they are now; of one seed the last with the most steps."""
    best: dict[tuple[str, int], Cell] = {}
    systems = plan.systems()
    for cell in found:
        name, place = zoo.split(cell.spec)[0], (cell.spec, cell.seed)
        if name not in systems or cell.key != plan.task(name, cell.seed, cell.steps).folder():
            continue
        if place not in best or cell.steps >= best[place].steps:
            best[place] = cell
    return list(best.values())


def _train(plan: Plan, file: Path, tasks: Iterable[Task]) -> dict[str, str]:
    """Train what isn't in the file yet; why, of what failed."""
    done = {cell.key for cell in cells.kept(file)}
    named = {f"{task.spec}, seed {task.seed}": task for task in tasks if task.folder() not in done}
    # One measures at a time, so that speeds don't disturb each other.
    fill = partial(_fill, plan=plan, file=file, measuring=Lock())
    return train_all(named, fill, jobs=plan.jobs)


def _fill(task: Task, *, plan: Plan, file: Path, measuring: Lock) -> None:
    result = train(task, plan.out, tell=plan.jobs == 1)
    whole = load(task.spec).system.training.steps
    with measuring:
        cells.add(file, cells.cell_of(task, result, whole))


def _measure_again(plan: Plan, file: Path) -> None:
    """Add every finished cell once more, with the speed that its spec has now."""
    speeds: dict[str, float] = {}
    for cell in current(plan, cells.kept(file)):
        if cell.spec not in speeds:
            spec = plan.task(zoo.split(cell.spec)[0], cell.seed).load()
            speeds[cell.spec] = cells.tokens_per_second(spec, plan.threads)
            print(f"{cell.spec}: {speeds[cell.spec]:,.0f} tokens/s", flush=True)
        again = replace(cell, tokens_per_second=speeds[cell.spec], threads=plan.threads)
        cells.add(file, again)
