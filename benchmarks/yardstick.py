"""Trains small specs in nanoGPT's CPU setting for Shakespeare, several seeds each.

The setting is the specs' own: 4 layers, width 128, context 64, batch 12, 2,000 steps. nanoGPT
publishes 1.88 nats for its transformer there. Losses are over the whole validation text, not a
sample of it.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import environment
from benchmarks.training import Result, Task, train

COLUMNS = ("spec", "seed", "steps", "nats", "bits_per_byte", "best", "parameters", "seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        specs: names or paths.
        seeds: each spec is trained with all of them.
        steps: in place of the specs' own.
        out: the folder that keeps runs and results.
        threads: that PyTorch may use.
    """

    specs: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int | None
    out: Path
    threads: int

    def tasks(self) -> list[Task]:
        """Return all trainings, seed by seed, so that the first table with every spec comes
        early.
        """
        return [
            Task(spec=spec, seed=seed, threads=self.threads, steps=self.steps)
            for seed in dict.fromkeys(self.seeds)
            for spec in dict.fromkeys(self.specs)
        ]


def hold_yardstick(plan: Plan) -> int:
    """Train what isn't trained yet; print the table, and keep it beside the runs."""
    tasks = plan.tasks()
    for task in tasks:
        task.load()  # a mistake in the last spec should not wait for the first ones
    surroundings = environment.describe(plan.threads)
    print(environment.sentence(surroundings))
    results: list[Result] = []
    for number, task in enumerate(tasks, start=1):
        print(f"{number} of {len(tasks)}: {task.spec}, seed {task.seed}, in {plan.out}", flush=True)
        results.append(train(task, plan.out))
        write(plan.out, results, surroundings)
    print(f"\n{table(results)}\n\nalso in {plan.out / 'results.csv'} and results.json")
    return 0


def table(results: list[Result]) -> str:
    """Return mean and each seed of every spec."""
    seeds = list(dict.fromkeys(result.seed for result in results))
    head = ["", "parameters", "steps", "nats", *(f"seed {seed}" for seed in seeds), "bits/byte"]
    cells = [[*head, "minutes a run"]]
    for group in grouped(results):
        nats = {result.seed: result.nats for result in group}
        mean = statistics.fmean(nats.values())
        cells.append(
            [
                group[0].spec,
                f"{group[0].parameters:,}",
                f"{group[0].steps:,}",
                f"{mean:.4f}",
                *(f"{nats[seed]:.4f}" if seed in nats else "" for seed in seeds),
                f"{mean / math.log(2):.4f}",
                f"{statistics.fmean(result.seconds for result in group) / 60:.1f}{_part(group)}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]).rstrip()
        for name, *numbers in cells
    ]
    return "\n".join(["loss over the whole validation text, after the last step", *lines])


def grouped(results: list[Result]) -> list[list[Result]]:
    """Return results of one spec together, specs in the order of their first one."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.spec, str(Path(result.run).parent)), []).append(result)
    return list(groups.values())


def write(out: Path, results: list[Result], surroundings: dict[str, str | int | float]) -> None:
    """Keep the results as results.csv and results.json."""
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**asdict(r), "bits_per_byte": r.bits} for r in results)
    means = {
        group[0].spec: statistics.fmean(result.nats for result in group)
        for group in grouped(results)
    }
    content = {
        "environment": surroundings,
        "mean_nats": means,
        "runs": [{**asdict(r), "bits_per_byte": r.bits} for r in results],
    }
    (out / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _part(group: list[Result]) -> str:
    return " (some resumed)" if any(result.resumed for result in group) else ""
