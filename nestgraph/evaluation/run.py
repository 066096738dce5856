"""Carries out a comparison: the rate of each side on rows of their own, then each seed.

Each training is a cell. Cells that a file holds already are not run again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestgraph.analysis import costs
from nestgraph.analysis.parameters import parameter_table
from nestgraph.errors import InputError
from nestgraph.evaluation.cells import (
    Cell,
    Setting,
    add_cell,
    read_cells,
    require_same,
    require_writable,
)
from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.procedures import Job, carry_out, require_runnable
from nestgraph.evaluation.sides import Side
from nestgraph.evaluation.task import Split, Task
from nestgraph.runtime.seeds import checked_seed

TUNE_SEED = 4_000_000_007
"""Of the trainings that choose a rate; one that nobody is likely to give."""

MOST_STEPS = 10**9
LARGEST_SEED = 2**32 - 1
LARGEST_RATE = 100.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        task: the task.
        sides: who takes part.
        seeds: each side is trained and scored with all of them.
        steps: of each training; those of the task if None, and no budget is given.
        budget: seconds of processor time of each training, in place of steps.
        rates: learning rates to choose from; those of the task if None.
        file: where cells are kept; they are kept nowhere if None.
        smoke: whether the task was cut down to a smoke test.
    """

    task: Task
    sides: Sequence[Side]
    seeds: Sequence[int] = (0, 1, 2)
    steps: int | None = None
    budget: float | None = None
    rates: Sequence[float] | None = None
    file: Path | None = None
    smoke: bool = False

    def __post_init__(self) -> None:
        _require_numbers(self)

    @property
    def limit(self) -> int:
        """Steps of each training."""
        if self.budget is not None:
            return MOST_STEPS
        return self.task.steps if self.steps is None else self.steps

    @property
    def choices(self) -> tuple[float, ...]:
        """Rates to choose from."""
        return tuple(self.task.rates if self.rates is None else self.rates)


def carry_out_plan(plan: Plan, tell: Callable[[Cell], None]) -> list[Cell]:
    """Return all cells of a plan.

    Args:
        plan: what to run.
        tell: is given each cell once it is there.

    Raises:
        InputError: the file can't be read, written, or holds cells of other settings; or a side
            can't be trained in the way of the task, which is said before any is.
        KeyboardInterrupt: somebody stopped it; finished cells are in the file.
    """
    kept = read_cells(plan.file) if plan.file is not None else []
    settings = {side.name: _setting(plan, side) for side in plan.sides}
    if plan.file is not None:
        for name, setting in settings.items():
            require_same(plan.file, kept, plan.task.label, name, setting)
        require_writable(plan.file)
    for side in plan.sides:
        require_runnable(_job(plan, side, Split.TEST, plan.seeds[0], plan.choices[0]))
    runner = _Runner(plan, {cell.key: cell for cell in kept}, settings, tell)
    return [cell for side in plan.sides for cell in runner.cells(side)]


class _Runner:
    """Runs the cells that aren't there yet."""

    def __init__(
        self,
        plan: Plan,
        kept: dict[tuple[str, str, str, int, float], Cell],
        settings: dict[str, Setting],
        tell: Callable[[Cell], None],
    ) -> None:
        self._plan = plan
        self._kept = kept
        self._settings = settings
        self._tell = tell

    def cells(self, side: Side) -> Iterator[Cell]:
        """Yield the cells of a side: those that choose its rate, if there is a choice, then its
        seeds.
        """
        rates = self._plan.choices
        rate = rates[0]
        if len(rates) > 1:
            tuned = [self._cell(side, Split.TUNE, TUNE_SEED, each) for each in rates]
            rate = best(self._plan.task, tuned)
            yield from tuned
        for seed in self._plan.seeds:
            yield self._cell(side, Split.TEST, seed, rate)

    def _cell(self, side: Side, split: Split, seed: int, rate: float) -> Cell:
        plan, setting = self._plan, self._settings[side.name]
        key = (plan.task.label, side.name, str(split), seed, rate)
        if key not in self._kept:
            cell = _run(plan, side, setting, split, seed, rate)
            if plan.file is not None:
                add_cell(plan.file, cell)
            self._kept[key] = cell
        self._tell(self._kept[key])
        return self._kept[key]


def _run(plan: Plan, side: Side, setting: Setting, split: Split, seed: int, rate: float) -> Cell:
    job = _job(plan, side, split, seed, rate)
    done = carry_out(job)
    return Cell(
        task=plan.task.label,
        side=side.name,
        of=side.of,
        setting=setting,
        split=str(split),
        seed=seed,
        rate=rate,
        scores={name: _finite(value) for name, value in done.scores.items()},
        taken=done.steps,
        seconds=done.seconds,
        skipped=done.skipped,
        ended=done.ended,
        parameters=sum(each.size for each in parameter_table(job.spec.system) if each.trained),
        flops=costs.total(job.spec.system).flops,
        series={
            name: tuple(point for point in points if math.isfinite(point[1]))
            for name, points in done.series.items()
        },
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def best(task: Task, tuned: Sequence[Cell]) -> float:
    """Return the rate whose score is best on the tuning rows; the smallest of those that are equal.

    Where none has a score, the smallest is taken.
    """
    sign = 1 if task.higher else -1
    scored = [(sign * cell.score, -cell.rate) for cell in tuned if cell.score is not None]
    return -max(scored)[1] if scored else min(cell.rate for cell in tuned)


def _job(plan: Plan, side: Side, split: Split, seed: int, rate: float) -> Job:
    constant = plan.budget is not None  # nobody knows where a cosine would have to end
    spec = fitted(side.spec, plan.task, rate=rate, seed=seed, steps=plan.limit, constant=constant)
    return Job(task=plan.task, spec=spec, split=split, seed=seed, budget=plan.budget, way=side.way)


def _setting(plan: Plan, side: Side) -> Setting:
    task = plan.task
    spec = fitted(side.spec, task, rate=task.rates[0], seed=0, steps=1, constant=False)
    return Setting(
        spec=hashlib.sha256(spec.resolved_yaml().encode()).hexdigest()[:16],
        steps=None if plan.budget is not None else plan.limit,
        budget=plan.budget,
        rates=list(plan.choices),
        smoke=plan.smoke,
    )


def _require_numbers(plan: Plan) -> None:
    """Make sure that a plan can be carried out.

    Raises:
        InputError: steps, budget or rates are not above 0, or both steps and budget are given
            (NG932); or a seed is none (NG749).
    """
    if plan.steps is not None and plan.budget is not None:
        said = "`--steps` and `--budget` both say when a training ends"
        raise InputError("NG932", said, "leave one of them away")
    if plan.steps is not None and not 1 <= plan.steps <= MOST_STEPS:
        said = f"`--steps` (={plan.steps}) must be from 1 to {MOST_STEPS}"
        raise InputError("NG932", said, "leave it away for those of the task")
    if plan.budget is not None and not 0 < plan.budget < math.inf:
        said = f"`--budget` (={plan.budget:g}) must be a number of seconds above 0"
        raise InputError("NG932", said, "leave it away for the steps of the task")
    for rate in plan.choices:
        if not 0 < rate <= LARGEST_RATE:
            said = f"`--lr` (={rate:g}) must be above 0 and at most {LARGEST_RATE:g}"
            raise InputError("NG932", said, "leave it away for those of the task")
    for name, given in (("--lr", plan.choices), ("--seeds", plan.seeds)):
        if not given or len(set(given)) < len(given):
            said = f"`{name}` names nothing" if not given else f"`{name}` names one twice"
            raise InputError("NG932", said, "name each once")
    for seed in plan.seeds:
        if checked_seed(seed) > LARGEST_SEED:
            said = f"`--seeds` (={seed}) must be at most {LARGEST_SEED}"
            raise InputError("NG932", said, "give a smaller one, such as 0")
