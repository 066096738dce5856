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

LENGTH = "length"  # in place of a task


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """The options of the command; None leaves what the task says."""

    seeds: tuple[int, ...] | None
    steps: int | None
    budget: float | None
    rates: tuple[float, ...] | None
    controls: Literal["none", "static", "rates-off", "baselines", "all"]
    ablate: tuple[str, ...]
    match: Literal["none", "parameters", "flops"]
    smoke: bool
    out: Path | None

    @property
    def trains(self) -> bool:
        """Return whether something was said that only trainings need."""
        numbers = (self.seeds, self.steps, self.budget, self.rates)
        beside = (self.controls, self.match) != ("none", "none")
        return bool(self.ablate) or self.smoke or beside or numbers != (None,) * len(numbers)


def run_eval(
    task: str | None,
    specs: list[str],
    options: EvalOptions,
    changes: list[str],
    *,
    listing: bool,
    report: Path | None,
) -> None:
    """List tasks, tell a file of results, read a run at length, or evaluates specs on a task."""
    of_training = options.trains or bool(changes)
    if listing:
        _alone("--list", task is not None or report is not None or of_training or options.out)
        list_tasks()
    elif report is not None:
        _alone("--report", task is not None or of_training)
        report_file(report, options.out)
    elif task == LENGTH:
        _alone(LENGTH, of_training)
        read_at_length(specs, options.out)
    elif task is None:
        hint = "write `nestgraph eval TASK S...`; `nestgraph eval --list` shows the tasks"
        raise InputError("NG930", "no task is named", hint)
    else:
        evaluate_specs(task, specs, options, changes)


def _alone(what: str, more: object) -> None:
    """Refuse what `eval` would have to leave out.

    Raises:
        InputError: there is more (NG939).
    """
    if more:
        hint = "leave the other arguments away; `nestgraph eval --help` says which go together"
        raise InputError("NG939", f"`eval` is asked for `{what}` and for something else", hint)


def read_at_length(runs: list[str], out: Path | None) -> None:
    """Print the losses of trained runs by position, far beyond their contexts."""
    from nestgraph.evaluation.length import lengths, together, write_curves

    if not runs:
        raise InputError("NG711", "no run is named", "write `nestgraph eval length RUN...`")
    found = []
    for run in runs:
        found.append(lengths(run))
        say(f"{found[-1]}\n")
    if len({(each.context, each.on.shape[1]) for each in found}) == 1 < len(found):
        say(together(found))
    if out is not None:
        write_curves(out, found)
        say(f"Wrote {out}")


def list_tasks() -> None:
    """Print every task with its settings and its line."""
    from nestgraph.evaluation.choosing import find_task, names

    tasks = [find_task(name) for name in names()]
    say(columns((task.label, task.kind, task.doc) for task in tasks))


def evaluate_specs(task: str, specs: list[str], options: EvalOptions, changes: list[str]) -> None:
    """Train, scores, and print each cell and then the table."""
    from nestgraph.evaluation.results import evaluate
    from nestgraph.language.spec import load

    try:
        results = evaluate(
            task,
            [load(spec, set=settings(changes)) for spec in specs],
            seeds=options.seeds,
            steps=options.steps,
            budget=options.budget,
            rates=options.rates,
            controls=options.controls,
            ablate=options.ablate,
            match=options.match,
            smoke=options.smoke,
            file=options.out,
            tell=_tell,
        )
    except KeyboardInterrupt:
        if options.out is not None:
            say(f"finished trainings are in {options.out}; the same command goes on")
        raise
    say(f"\n{results}")


def report_file(file: Path, page: Path | None) -> None:
    """Print the table of a file of results, and write its page if one is named."""
    from nestgraph.evaluation.cells import read_cells
    from nestgraph.evaluation.report import write_page
    from nestgraph.evaluation.results import Results

    results = Results(cells=tuple(read_cells(file)))
    if not results.cells:
        hint = "name a FILE that `nestgraph eval TASK S -o FILE` has written"
        raise InputError("NG936", f"`{file}` holds no results", hint)
    say(results)
    if page is not None:
        write_page(results.summaries, page, file)
        say(f"\nWrote {page}")


def _tell(cell: Cell) -> None:
    scores = "  ".join(
        f"{name} {'no number' if value is None else f'{value:.4f}'}"
        for name, value in cell.scores.items()
    )
    which = f"seed {cell.seed}" if cell.is_result else "choosing"
    taken = f"{cell.taken:,} steps, {cell.seconds:.0f} s, {cell.skipped} skipped; {cell.ended}"
    say(f"{cell.task}  {cell.side}  {which}  rate {cell.rate:g}: {scores}  ({taken})")
