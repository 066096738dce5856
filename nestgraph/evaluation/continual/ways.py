"""Ways to learn tasks one after another: nothing against forgetting, replay, EWC, all at once.

Each is a source of batches by step, a module that learns them, and what is done after each task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import torch

from nestgraph import training
from nestgraph.evaluation.continual.elastic import Elastic
from nestgraph.evaluation.procedures import Job
from nestgraph.evaluation.task import Batch, Draw, Split
from nestgraph.evaluation.training import derived
from nestgraph.language.spec import Spec
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.tokens import PADDING
from nestgraph.training import NestModule

FISHER_ROWS = 128
BUFFER_SEED = 0  # which rows are kept does not depend on the seed of the training


class Naive:
    """One task after another, as if each were the only one."""

    together = False  # whether all tasks are learned at once

    def __init__(self, job: Job, steps: int) -> None:
        """Plan a stream.

        Args:
            job: that is carried out.
            steps: of each task.
        """
        self.job = job
        self.parts: list[Draw] = list(job.task.parts.values())
        self.steps = steps
        self.rows = job.spec.system.training.batch

    def module(self, spec: Spec) -> NestModule:
        """Return what learns, with its first weights."""
        return training.compile(spec)

    def batch(self, step: int) -> Batch:
        """Return what is learned from at a step, counted from 0 over all tasks."""
        draw = self.parts[step // self.steps]
        return trimmed(draw(Split.TRAIN, derived(self.job.seed, step), self.rows))

    def learned(self, module: NestModule, part: int) -> None:
        """Note that a task is over."""


class Replay(Naive):
    """Each batch with as many rows that were kept of earlier tasks (experience replay).

    The buffer holds as many rows of each task so far, so that it is as large at any time.
    """

    def __init__(self, job: Job, steps: int) -> None:
        """Plan a stream, and how much of it is kept."""
        super().__init__(job, steps)
        self._size = int(job.task.settings["buffer"])
        self._kept: list[Batch] = []

    def batch(self, step: int) -> Batch:
        """Return rows of the task, and as many of the buffer."""
        new, part = super().batch(step), step // self.steps
        if part == 0:
            return new
        if len(self._kept) != part:
            each = -(-self._size // part)
            self._kept = [draw(Split.TRAIN, BUFFER_SEED, each) for draw in self.parts[:part]]
        source = torch.Generator().manual_seed(derived(self.job.seed, step))
        tasks = torch.randint(part, (self.rows,), generator=source).tolist()
        rows = torch.randint(len(self._kept[0].tokens), (self.rows,), generator=source).tolist()
        chosen = [
            (self._kept[task].tokens[row], self._kept[task].targets[row])
            for task, row in zip(tasks, rows, strict=True)
        ]
        tokens, targets = (torch.stack(some) for some in zip(*chosen, strict=True))
        return joined(new, Batch(tokens=tokens, targets=targets))


class Pulled(Naive):
    """Elastic weight consolidation, online: what earlier tasks need is pulled back to its place."""

    def module(self, spec: Spec) -> NestModule:
        """Return a module whose loss counts how far it has moved."""
        module = training.compile(spec)
        return Elastic(module.model, spec, strength=float(self.job.task.settings["ewc"]))

    def learned(self, module: NestModule, part: int) -> None:
        """Measure what the task needs."""
        assert isinstance(module, Elastic)
        rows = self.parts[part](Split.TRAIN, derived(self.job.seed, -1 - part), FISHER_ROWS)
        module.hold(rows)


class Joint(Naive):
    """All tasks at once, mixed: what one model could know if nothing came after anything."""

    together = True

    def batch(self, step: int) -> Batch:
        """Return rows of all tasks."""
        return trimmed(self.job.task.draw(Split.TRAIN, derived(self.job.seed, step), self.rows))


Way: TypeAlias = Callable[[Job, int], Naive]
WAYS: Mapping[str, Way] = MappingProxyType(
    {"": Naive, "replay": Replay, "ewc": Pulled, "joint": Joint}
)


def trimmed(batch: Batch) -> Batch:
    """Return a batch without the columns in which every row has ended."""
    used = (batch.tokens != PADDING).any(0)
    longest = int(used.nonzero().max()) + 1
    return Batch(tokens=batch.tokens[:, :longest], targets=batch.targets[:, :longest])


def joined(one: Batch, other: Batch) -> Batch:
    """Return the rows of both, in one width."""
    width = max(one.tokens.shape[1], other.tokens.shape[1])
    return trimmed(
        Batch(
            tokens=torch.cat([_wide(each.tokens, width, PADDING) for each in (one, other)]),
            targets=torch.cat([_wide(each.targets, width, IGNORED) for each in (one, other)]),
        )
    )


def _wide(x: torch.Tensor, width: int, value: int) -> torch.Tensor:
    return torch.nn.functional.pad(x, (0, width - x.shape[1]), value=value)
