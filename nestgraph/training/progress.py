"""How far a run is: a bar on a terminal, else a plain line now and then. Steps, no epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

from nestgraph.training.report import at_step
from nestgraph.training.throughput import Throughput

REFRESHES = 5  # a second; the bar's own default of 100 takes a core from small models


class StepBar(RichProgressBar):
    """Counts the steps of one endless epoch."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=REFRESHES)

    @property
    def validation_description(self) -> str:
        """Return what stands before the bar of a validation."""
        return "validating"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return the losses, without the number of a logger's version."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return "training  "


class StepLines(L.Callback):
    """Says where the training is, and how fast, when nothing else has said so for long.

    Args:
        write: prints a line.
        pace: of the run.
        steps: after which training ends.
        tokens: that a step predicts.
    """

    def __init__(
        self, write: Callable[[str], None], pace: Throughput, *, steps: int, tokens: int
    ) -> None:
        self._write = write
        self._pace = pace
        self._steps = steps
        self._tokens = tokens

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock, at the step of a checkpoint if there is one."""
        self._pace.begin(trainer.global_step, trainer.global_step * self._tokens)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write a line if it is time."""
        step = trainer.global_step
        if pace := self._pace.after(step, step * self._tokens):
            loss = outputs["loss"].item()
            self._write(f"{at_step(step, self._steps)}  training {loss:.4f}  {pace}")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take note of the line that every validation has."""
        self._pace.said(trainer.global_step * self._tokens)
