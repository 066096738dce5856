"""Training on drawn batches, by Lightning and through the module that users get."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.evaluation.task import Batch
from nestgraph.training import NestModule
from nestgraph.training.interruption import Interruption, TrainingStopped
from nestgraph.training.quiet import quiet

NO_NUMBERS = ("NG731", "NG732", "NG742")
"""What ends a training that diverged."""

ALL_STEPS, ENOUGH, SPENT = "all steps", "stop rule", "budget"


@dataclass(frozen=True, kw_only=True)
class Training:
    """What came of a training.

    Attributes:
        steps: that were taken.
        seconds: of processor time, all threads together, without what the stop rule took.
        skipped: steps whose gradient was no number.
        ended: why: `ALL_STEPS`, `ENOUGH`, `SPENT`, or what was wrong.
        failed: whether something was.
    """

    steps: int
    seconds: float
    skipped: int
    ended: str
    failed: bool = False


def train(
    module: NestModule,
    batch_at: Callable[[int], Batch],
    *,
    budget: float | None = None,
    enough: Callable[[int], bool] | None = None,
    every: int = 100,
) -> Training:
    """Train a module for as many steps as its spec says.

    Args:
        module: as compiled; its weights are changed.
        batch_at: the batch of a step, counted from 0.
        budget: seconds of processor time, after which training ends; None for no limit.
        enough: asked with the number of steps taken whether training ends; not timed.
        every: steps between two such questions.

    Raises:
        KeyboardInterrupt: somebody stopped it.
        InputError: it can't be trained, for another reason than numbers that are none.
    """
    steps = module.spec.system.training.steps
    with Interruption() as interruption, quiet(), one_thread():
        watch = _Watch(budget, enough, every, interruption)
        trainer = L.Trainer(
            devices=1,
            max_steps=steps,
            accelerator="cpu",
            logger=False,
            callbacks=[watch],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        failure = ""
        # There is nothing to validate on: the stop rule and the scores come from tasks.
        warnings.filterwarnings("ignore", message=".*validation_step")
        warnings.filterwarnings("ignore", message="GPU available but not used")
        try:
            trainer.fit(module, _Batches(batch_at, steps))
        except TrainingStopped as stopped:
            raise KeyboardInterrupt from stopped
        except InputError as error:
            if error.diagnostics[0].code not in NO_NUMBERS:
                raise
            failure = str(error)
    module.eval()
    return Training(
        steps=trainer.global_step,
        seconds=watch.seconds,
        skipped=module.skipped,
        ended=failure or watch.ended,
        failed=bool(failure),
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread.

    Sums then don't depend on how many processors there are, and processor time is no time in which
    threads wait for each other, which is most of it in models this small.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def derived(seed: int, step: int) -> int:
    """Return the seed of a step's rows."""
    digest = hashlib.sha256(f"{seed}/{step}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


class _Batches:
    """Batches of all steps, as pairs of tokens and targets."""

    def __init__(self, batch_at: Callable[[int], Batch], steps: int) -> None:
        self._batch_at = batch_at
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self._steps):
            batch = self._batch_at(step)
            yield batch.tokens, batch.targets


class _Watch(L.Callback):
    """Ends a training when its time is spent, when it is enough, or when somebody wishes."""

    def __init__(
        self,
        budget: float | None,
        enough: Callable[[int], bool] | None,
        every: int,
        interruption: Interruption,
    ) -> None:
        self._budget = math.inf if budget is None else budget
        self._enough = enough
        self._every = every
        self._interruption = interruption
        self._asked = 0.0  # seconds that the stop rule took
        self._began = time.process_time()
        self.ended = ALL_STEPS

    @property
    def seconds(self) -> float:
        """Processor time so far."""
        return time.process_time() - self._began - self._asked

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._interruption.listen()
        self._began = time.process_time()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look whether this was the last step."""
        if self._interruption.wished:
            raise TrainingStopped(saved=False)
        if self.seconds >= self._budget:
            self.ended, trainer.should_stop = SPENT, True
            return
        if self._enough is not None and trainer.global_step % self._every == 0:
            before = time.process_time()
            pl_module.eval()
            if self._enough(trainer.global_step):
                self.ended, trainer.should_stop = ENOUGH, True
            pl_module.train()
            self._asked += time.process_time() - before
