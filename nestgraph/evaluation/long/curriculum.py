"""The procedure of long-context tasks: rows become longer as they are answered right.

The parts of a task are its lengths, the shortest first. A length has an equal share of the steps;
once the tuning rows of it reach the stop rule the next one begins, and what is left goes to those
that follow. A quarter of the batches have a length that came before, drawn anew.
"""

from __future__ import annotations

import random

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.long.reach import require_outside
from nestgraph.evaluation.procedures import Job, Outcome, outcome, reached
from nestgraph.evaluation.scoring import METRICS, score
from nestgraph.evaluation.task import Batch, Split
from nestgraph.evaluation.training import derived, train
from nestgraph.training import NestModule

BEFORE = 0.25  # of the batches have an earlier length
QUESTIONS = 30  # times that the tuning rows are asked during all steps
TUNE_ROWS = 64


def carry_out_lengths(job: Job) -> Outcome:
    """Train on longer and longer rows, and score all lengths.

    Raises:
        InputError: a window of the spec reaches a needle (NG947).
    """
    require_lengths(job)
    module = training.compile(job.spec)
    lengths = Lengths(job, module)
    steps = job.spec.system.training.steps
    every = max(1, steps // QUESTIONS)
    trained = train(module, lengths.batch, budget=job.budget, enough=lengths.enough, every=every)
    return outcome(job, module, trained, {"step": tuple(lengths.curve)})


def require_lengths(job: Job) -> None:
    """Make sure that a spec can only remember the needles.

    Raises:
        InputError: its windows reach them (NG947).
    """
    require_outside(job.task, job.spec)


class Lengths:
    """Which length is learned at a step."""

    def __init__(self, job: Job, module: NestModule) -> None:
        self._job = job
        self._module = module
        self._parts = list(job.task.parts.values())
        self._steps = job.spec.system.training.steps
        self.stage = 0
        self.curve: list[tuple[float, float]] = []

    def batch(self, step: int) -> Batch:
        """Return rows of the length under way, or of one before."""
        seed = derived(self._job.seed, step)
        source = random.Random(seed)
        before = self.stage > 0 and source.random() < BEFORE
        part = source.randrange(self.stage) if before else self.stage
        rows = self._job.spec.system.training.batch
        return self._parts[part](Split.TRAIN, seed, rows)

    def enough(self, step: int) -> bool:
        """Go on to the next length when this one is known, or had its steps."""
        right = self._right()
        self.curve.append((float(step), right))
        known = self._job.task.stop is not None and reached(self._job.task, right)
        if self.stage + 1 == len(self._parts):
            return known
        shared = step * len(self._parts) >= (self.stage + 1) * self._steps
        self.stage += known or shared
        return False

    def _right(self) -> float:
        """Return the score of the length under way on rows for choosing."""
        task, draw = self._job.task, self._parts[self.stage]
        try:
            found = score(
                self._module,
                draw,
                METRICS[task.metric],
                split=Split.TUNE,
                seed=self._job.seed,
                rows=TUNE_ROWS,
            )
        except InputError:
            return 0.0  # no numbers; training ends by itself if they stay so
        return found.mean
