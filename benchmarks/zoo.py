"""Trains every system of the zoo in nanoGPT's CPU setting for Shakespeare, and makes one table.

Each system's `-tiny` spec is a cell, or three with three seeds; what is finished is never trained
again, so the command may be stopped and given again until the table is full.
"""

from __future__ import annotations

import statistics
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
from nestgraph import markdown_text, zoo
from nestgraph.spec import load

THREE_SEEDS = (
    *("hope", "hope-attention", "transformer", "titans-lmm", "gated-deltanet", "ttt-linear"),
)
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
        """Names of the systems that have a tiny size.

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
        """All trainings; each system's first seed before anybody's second one."""
        systems = self.systems()
        return [
            self.task(name, seed)
            for seed in range(3)
            for name in systems
            if seed == 0 or name in THREE_SEEDS
        ]

    def task(self, name: str, seed: int, steps: int | None = None) -> Task:
        """One training."""
        settings = {} if self.data is None else {"training.data": self.data}
        return Task(
            spec=f"{name}-tiny",
            seed=seed,
            threads=self.threads,
            settings=settings,
            steps=steps or self.steps,
        )


def fill_zoo(plan: Plan) -> int:
    """Trains what isn't trained yet and prints the table; 1 if a training failed."""
    file = plan.out / CELLS
    print(environment.sentence(environment.describe(plan.threads)), flush=True)
    done = {cell.key for cell in cells.kept(file)}
    nothing = plan.table_only or plan.speeds_only
    tasks = [] if nothing else [task for task in plan.tasks() if task.folder() not in done]
    named = {f"{task.spec}, seed {task.seed}": task for task in tasks}
    # One measures at a time, so that speeds don't disturb each other.
    fill = partial(_fill, plan=plan, file=file, measuring=Lock())
    failures = train_all(named, fill, jobs=plan.jobs)
    if plan.speeds_only:
        _measure_again(plan, file)
    print(f"\n{table(current(plan, cells.kept(file)))}")
    for name, why in failures.items():
        print(f"\n{name} failed: {why}")
    return 1 if failures else 0


def current(plan: Plan, found: Iterable[Cell]) -> list[Cell]:
    """The cells of the specs as they are now; of one seed the last with the most steps."""
    best: dict[tuple[str, int], Cell] = {}
    systems = plan.systems()
    for cell in found:
        name, place = zoo.split(cell.spec)[0], (cell.spec, cell.seed)
        if name not in systems or cell.key != plan.task(name, cell.seed, cell.steps).folder():
            continue
        if place not in best or cell.steps >= best[place].steps:
            best[place] = cell
    return list(best.values())


def table(found: list[Cell]) -> str:
    """Systems by loss, as Markdown; a star where a spec asks for more steps."""
    groups: dict[str, list[Cell]] = {}
    for cell in found:
        groups.setdefault(cell.spec, []).append(cell)
    rows = sorted(
        groups.values(), key=lambda group: (group[0].steps < group[0].whole, _nats(group))
    )
    head = ("", "parameters", "nats", "seeds", "tokens/s", "state bytes", "steps", "minutes")
    lines = markdown_text.table(head, map(_row, rows))
    if any(cell.steps < cell.whole for cell in found):
        lines += ["", "\\* fewer steps than the spec asks for; not to be compared with the others"]
    return "\n".join(lines)


def _row(group: list[Cell]) -> tuple[str, ...]:
    first = group[0]
    nats = [f"{cell.nats:.4f}" for cell in sorted(group, key=lambda cell: cell.seed)]
    star = "\\*" if first.steps < first.whole else ""
    return (
        f"`{first.spec}`",
        f"{first.parameters:,}",
        f"{_nats(group):.4f}{star}",
        ", ".join(nats) if len(nats) > 1 else "",
        f"{statistics.median(cell.tokens_per_second for cell in group):,.0f}",
        f"{first.state_bytes:,}",
        f"{first.steps:,}{star}",
        f"{statistics.fmean(cell.minutes for cell in group):.1f}",
    )


def _nats(group: list[Cell]) -> float:
    return statistics.fmean(cell.nats for cell in group)


def _fill(task: Task, *, plan: Plan, file: Path, measuring: Lock) -> None:
    result = train(task, plan.out, tell=plan.jobs == 1)
    whole = load(task.spec).system.training.steps
    with measuring:
        cells.add(file, cells.cell_of(task, result, whole))


def _measure_again(plan: Plan, file: Path) -> None:
    """Adds every finished cell once more, with the speed that its spec has now."""
    speeds: dict[str, float] = {}
    for cell in current(plan, cells.kept(file)):
        if cell.spec not in speeds:
            spec = plan.task(zoo.split(cell.spec)[0], cell.seed).load()
            speeds[cell.spec] = cells.tokens_per_second(spec, plan.threads)
            print(f"{cell.spec}: {speeds[cell.spec]:,.0f} tokens/s", flush=True)
        again = replace(cell, tokens_per_second=speeds[cell.spec], threads=plan.threads)
        cells.add(file, again)
