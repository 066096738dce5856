"""The procedure of tasks in a row: learn one after another, score all after each, summarise R.

The parts of a task are what comes one after another, each for as many steps. The rate is constant
behind the warm-up, so that a late task is learned at the rate of an early one. Levels on steps
count on through the whole stream.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from nestgraph.data.labelled import LABELLED
from nestgraph.errors import InputError
from nestgraph.evaluation.continual import nearest
from nestgraph.evaluation.continual.base import base
from nestgraph.evaluation.continual.clocks import levels_on_steps, still_but_levels
from nestgraph.evaluation.continual.matrix import ContinualMatrix
from nestgraph.evaluation.continual.reading import Reading, levels_that_read
from nestgraph.evaluation.continual.ways import WAYS
from nestgraph.evaluation.procedures import SCORE, Job, Outcome
from nestgraph.evaluation.scoring import METRICS, Points, Reader, score
from nestgraph.evaluation.task import Draw, Task
from nestgraph.evaluation.training import ALL_STEPS, Training, train
from nestgraph.language.spec import Spec
from nestgraph.training.options import with_settings

NATS = "nats"
MEASURED = ("learned", "forgetting", "forgetting (mammoth)", "BWT", "FWT")
LOSSES = ("nats learned", "nats lost")
READ = "nats while reading"
NEAREST = "nearest class mean"

Scores = list[list[float]]


def carry_out_stream(job: Job) -> Outcome:
    """Learn the parts of a task one after another.

    Raises:
        InputError: it can't be carried out, as `require_stream` says.
    """
    require_stream(job)
    if job.way == NEAREST:
        return _nearest(job)
    spec, steps = _steady(job)
    if job.task.settings["moves"] == "reading":
        return _reading(job, steps)
    way = WAYS[job.way](job, steps)
    module = way.module(spec)
    module.load_state_dict(base(job.task, job.spec, int(job.task.settings["base"])))
    if job.task.settings["moves"] == "levels":
        still_but_levels(module)
    known = Known(job)

    def after(step: int) -> bool:
        part = step // steps - 1
        way.learned(module, part)
        if not way.together or part + 1 == len(way.parts):
            known.add(module)
        return False

    module.eval()
    known.add(module)
    module.train()
    trained = train(module, way.batch, enough=after, every=steps)
    return _outcome(job, trained, known)


def require_stream(job: Job) -> None:
    """Make sure that the tasks can be learned one after another, in the way that is asked for.

    Raises:
        InputError: a budget ends training, or there are fewer steps than tasks (NG948); the task
            has no nearest class mean (NG949); the spec has no levels that could move alone (NG946)
            or learn by reading (NG950).
    """
    if job.way == NEAREST:
        _require_classes(job.task)
        return
    _steady(job)
    if job.task.settings["moves"] == "levels":
        levels_on_steps(job.spec)
    if job.task.settings["moves"] == "reading":
        levels_that_read(job.spec)


class Known:
    """What a model knows of each task, before the first and after each."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.scores: dict[str, Scores] = {name: [] for name in {job.task.metric, NATS}}

    def add(self, module: Reader) -> None:
        """Score a model on all tasks."""
        for name, rows in self.scores.items():
            rows.append([self._score(module, draw, name) for draw in self._job.task.parts.values()])

    def _score(self, module: Reader, draw: Draw, name: str) -> float:
        job, metric = self._job, METRICS[name]
        found = score(module, draw, metric, split=job.split, seed=job.seed, rows=job.task.rows)
        return found.mean

    @property
    def whole(self) -> bool:
        """Return whether there is a row before the first task and after each."""
        return len(self.scores[NATS]) == len(self._job.task.parts) + 1


def _steady(job: Job) -> tuple[Spec, int]:
    """Return the spec at a constant rate, and the steps of each task."""
    if job.budget is not None:
        said = f"`--budget` can't end `{job.task.label}`, whose tasks have as many steps each"
        raise InputError("NG948", said, "give --steps")
    parts, settings = len(job.task.parts), job.spec.system.training
    each = settings.steps // parts
    if each == 0:
        said = f"{settings.steps} steps are too few for the {parts} tasks of `{job.task.label}`"
        raise InputError("NG948", said, f"give --steps {parts} or more")
    rates = {"training.min_lr": settings.lr, "training.steps": each * parts}
    return with_settings(job.spec, rates), each


def _reading(job: Job, steps: int) -> Outcome:
    """Read the tasks, the first after training in it where there is no base."""
    began = time.process_time()
    known, reading = Known(job), Reading(job, steps)
    known.add(reading)
    trained = Training(steps=0, seconds=0.0, skipped=0, ended=ALL_STEPS)
    for number, draw in enumerate(job.task.parts.values()):
        if number == 0 and not job.task.settings["base"]:
            trained = reading.train(draw)
        else:
            reading.read(draw, steps)
        known.add(reading)
    found = _outcome(job, replace(trained, seconds=time.process_time() - began), known)
    return replace(found, scores={**found.scores, READ: fmean(reading.nats)})


def _outcome(job: Job, trained: Training, known: Known) -> Outcome:
    scores: dict[str, float | None] = {}
    series: Mapping[str, Points] = {}
    if trained.failed:
        scores = dict.fromkeys((SCORE, *MEASURED, *LOSSES))
    elif not known.whole:
        scores = {SCORE: fmean(known.scores[job.task.metric][-1])}
    else:
        scores |= _measured(known.scores[job.task.metric], 1 if job.task.higher else -1)
        losses = _matrix(known.scores[NATS], -1)
        scores |= {
            "nats learned": losses.gained(),
            "nats lost": losses.forgetting("avalanche"),
        }
        series = _series(known.scores[job.task.metric][1:])
    return Outcome(
        scores=scores,
        steps=trained.steps,
        seconds=trained.seconds,
        skipped=trained.skipped,
        ended=trained.ended,
        series=series,
    )


def _nearest(job: Job) -> Outcome:
    task = job.task
    rows = nearest.scores(task.name, len(task.parts), job.split)
    measured = _measured([[0.0] * len(rows), *rows], 1)
    return Outcome(
        scores=measured,
        steps=0,
        seconds=0.0,
        skipped=0,
        ended=ALL_STEPS,
        series=_series(rows),
    )


def _require_classes(task: Task) -> None:
    if task.name not in LABELLED:
        said = f"`{task.label}` has no classes, so that none has a mean"
        raise InputError("NG949", said, "leave this way away")


def _measured(rows: Scores, sign: int) -> dict[str, float | None]:
    found = _matrix(rows, sign)
    return {
        SCORE: sign * found.accuracy(),
        "learned": sign * found.learned(),
        "forgetting": found.forgetting(),
        "forgetting (mammoth)": found.forgetting("mammoth"),
        "BWT": found.backward(),
        "FWT": found.forward(),
    }


def _matrix(rows: Scores, sign: int) -> ContinualMatrix:
    """Return R and b of scores, the untrained first; more is better."""
    untrained, *after = [[sign * value for value in row] for row in rows]
    return ContinualMatrix(scores=after, untrained=untrained)


def _series(rows: Sequence[Sequence[float]]) -> dict[str, Points]:
    """Return the mean over tasks so far, and each row of R."""
    means = ((float(n), fmean(row[:n])) for n, row in enumerate(rows, start=1))
    found = {"tasks learned": tuple(means)}
    for number, row in enumerate(rows, start=1):
        found[f"task, after {number}"] = tuple(
            (float(n), value) for n, value in enumerate(row, start=1)
        )
    return found
