"""How a task is carried out: train on drawn rows and score others, or a procedure of its kind.

A kind that needs more, such as a curriculum or a stream of tasks, registers a procedure, and what
a job must have for it, which is asked before anything is trained:

    @procedure("continual", requires=has_levels)
    def continual(job: Job) -> Outcome: ...

It lies in `nestgraph.evaluation.tasks`, beside the tasks that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.scoring import METRICS, Points, Score, score
from nestgraph.evaluation.task import Batch, Draw, Kind, Split, Task
from nestgraph.evaluation.training import Training, derived, one_thread, train
from nestgraph.language.spec import Spec
from nestgraph.training import NestModule

SCORE = "score"
TUNE_ROWS = 256  # of the stop rule
QUESTIONS = 20  # times that the stop rule is asked during all steps
MARKS = 5  # of the curve where there is no such rule, since each costs like many steps
EVERY = 100  # steps between two such questions where a budget ends training


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training and its scores.

    Attributes:
        task: what is asked.
        spec: of the model, with vocabulary, context, batch, steps, rate and seed of the task.
        split: which rows are scored: to choose a rate by, or to report.
        seed: of weights and rows.
        budget: seconds of processor time for training; None for no limit.
        way: of carrying it out, where the kind has several; empty for the plain one.
    """

    task: Task
    spec: Spec
    split: Split
    seed: int
    budget: float | None = None
    way: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job.

    Attributes:
        scores: by name; `SCORE` is the one by which sides are compared. None where the model's
            scores are no numbers, or it could not be trained.
        steps: that were taken.
        seconds: of processor time in training.
        skipped: steps whose gradient was no number.
        ended: why training ended.
        series: points for plots, by the words for what lies across.
    """

    scores: Mapping[str, float | None]
    steps: int
    seconds: float
    skipped: int
    ended: str
    series: Mapping[str, Points] = field(default_factory=dict)


Procedure: TypeAlias = Callable[[Job], Outcome]
Requirement: TypeAlias = Callable[[Job], None]
_PROCEDURES: dict[Kind, Procedure] = {}
_REQUIREMENTS: dict[Kind, Requirement] = {}


def procedure(
    kind: Kind, *, requires: Requirement | None = None
) -> Callable[[Procedure], Procedure]:
    """Register how tasks of a kind are carried out.

    Args:
        kind: that has no procedure yet.
        requires: raises an InputError where a job can't be carried out; None where all can.
    """

    def register(function: Procedure) -> Procedure:
        assert kind not in _PROCEDURES, f"two procedures are for {kind}"
        _PROCEDURES[kind] = function
        if requires is not None:
            _REQUIREMENTS[kind] = requires
        return function

    return register


def require_runnable(job: Job) -> None:
    """Make sure that a job can be carried out, without training anything.

    Raises:
        InputError: it can't; the code is that of its procedure.
    """
    if (requires := _REQUIREMENTS.get(job.task.kind)) is not None:
        requires(job)


def carry_out(job: Job) -> Outcome:
    """Train and score as the kind of the task says.

    Raises:
        KeyboardInterrupt: somebody stopped it.
        SpecError: the spec can't be run.
    """
    with one_thread():
        return _PROCEDURES.get(job.task.kind, by_draws)(job)


def by_draws(job: Job) -> Outcome:
    """Train on rows of the training split; score those of the job's split, and all parts."""
    module, task = training.compile(job.spec), job.task
    curve: list[tuple[float, float]] = []

    def batch_at(step: int) -> Batch:
        return task.draw(Split.TRAIN, derived(job.seed, step), job.spec.system.training.batch)

    def enough(step: int) -> bool:
        try:
            found = scores_of(module, task, Split.TUNE, job.seed, TUNE_ROWS)
        except InputError:
            return False  # no numbers; training ends by itself if they stay so
        curve.append((float(step), found[SCORE].mean))
        return task.stop is not None and all(reached(task, one.mean) for one in found.values())

    steps = job.spec.system.training.steps
    asked = MARKS if task.stop is None else QUESTIONS
    every = max(1, steps // asked) if job.budget is None else EVERY
    trained = train(module, batch_at, budget=job.budget, enough=enough, every=every)
    return outcome(job, module, trained, {"step": tuple(curve)})


def outcome(
    job: Job, module: NestModule, trained: Training, series: Mapping[str, Points]
) -> Outcome:
    """Return the scores of a trained module, with what is known of its training.

    Args:
        job: that is done.
        module: as trained.
        trained: what its training told.
        series: of the training, by the words for what lies across.
    """
    names = (SCORE, *job.task.parts)
    found: Mapping[str, Score] = {}
    ended = trained.ended
    if not trained.failed:
        try:
            found = scores_of(module, job.task, job.split, job.seed, job.task.rows)
        except InputError as error:
            ended = str(error)
    across = METRICS[job.task.metric].across
    points = tuple(sorted(point for one in found.values() for point in one.points))
    return Outcome(
        scores={name: found[name].mean if name in found else None for name in names},
        steps=trained.steps,
        seconds=trained.seconds,
        skipped=trained.skipped,
        ended=ended,
        series={**series, across: points},
    )


def scores_of(
    module: NestModule, task: Task, split: Split, seed: int, rows: int
) -> dict[str, Score]:
    """Return the scores of a model on the rows of a split, and on those of each part.

    Raises:
        InputError: the model gives no numbers (NG742).
    """
    metric, draws = METRICS[task.metric], {SCORE: task.draw, **task.parts}

    def of(draw: Draw) -> Score:
        return score(module, draw, metric, split=split, seed=seed, rows=rows)

    return {name: of(draw) for name, draw in draws.items()}


def reached(task: Task, value: float) -> bool:
    """Return whether a score is at least as good as the stop rule wants."""
    assert task.stop is not None
    return value >= task.stop if task.higher else value <= task.stop
