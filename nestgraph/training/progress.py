"""The progress bar of a run: steps, no epochs."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

REFRESHES = 5  # a second; the bar's own default of 100 takes a core from small models


class StepBar(RichProgressBar):
    """Counts the steps of one endless epoch."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=REFRESHES)

    @property
    def validation_description(self) -> str:
        """What stands before the bar of a validation."""
        return "validating"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """The losses, without the number of a logger's version."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return "training  "
