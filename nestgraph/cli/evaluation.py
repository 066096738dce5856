"""`nestgraph eval`: tasks, trainings on them, and their table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nestgraph.cli.columns import columns
from nestgraph.cli.opening import settings
from nestgraph.cli.saying import say
from nestgraph.errors import InputError

if TYPE_CHECKING:
    from nestgraph.evaluation.cells import Cell


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The options of the command; None leaves what the task says."""

    seeds: tuple[int, ...]
    steps: int | None
    budget: float | None
    rates: tuple[float, ...] | None
    controls: Literal["none", "static", "rates-off", "baselines", "all"]
    ablate: tuple[str, ...]
    out: Path | None


def run_eval(
    task: str | None,
    specs: list[str],
    wishes: Wishes,
    changes: list[str],
    *,
    listing: bool,
    report: Path | None,
) -> None:
    """Lists tasks, tells a file of results, or evaluates specs on a task."""
    if listing:
        list_tasks()
    elif report is not None:
        report_file(report, wishes.out)
    elif task is None:
        hint = "write `nestgraph eval TASK S...`; `nestgraph eval --list` shows the tasks"
        raise InputError("NG930", "no task is named", hint)
    else:
        evaluate_specs(task, specs, wishes, changes)


def list_tasks() -> None:
    """Prints every task with its settings and its line."""
    from nestgraph.evaluation.choosing import find_task, names

    tasks = [find_task(name) for name in names()]
    say(columns((task.label, task.kind, task.doc) for task in tasks))


def evaluate_specs(task: str, specs: list[str], wishes: Wishes, changes: list[str]) -> None:
    """Trains, scores, and prints each cell and then the table."""
    from nestgraph.evaluation.results import evaluate
    from nestgraph.spec import load

    results = evaluate(
        task,
        [load(spec, set=settings(changes)) for spec in specs],
        seeds=wishes.seeds,
        steps=wishes.steps,
        budget=wishes.budget,
        rates=wishes.rates,
        controls=wishes.controls,
        ablate=wishes.ablate,
        file=wishes.out,
        tell=_tell,
    )
    say(f"\n{results}")


def report_file(file: Path, page: Path | None) -> None:
    """Prints the table of a file of results."""
    from nestgraph.evaluation.cells import read_cells
    from nestgraph.evaluation.results import Results

    cells = read_cells(file)
    if not cells:
        hint = "name a FILE that `nestgraph eval TASK S -o FILE` has written"
        raise InputError("NG936", f"`{file}` holds no results", hint)
    say(Results(cells=tuple(cells)))


def _tell(cell: Cell) -> None:
    scores = "  ".join(
        f"{name} {'no number' if value is None else f'{value:.4f}'}"
        for name, value in cell.scores.items()
    )
    which = f"seed {cell.seed}" if cell.is_result else "choosing"
    taken = f"{cell.taken:,} steps, {cell.seconds:.0f} s, {cell.skipped} skipped; {cell.ended}"
    say(f"{cell.task}  {cell.side}  {which}  rate {cell.rate:g}: {scores}  ({taken})")
