"""What happens beside the training of a run: metrics, checkpoints, a line at each validation.

Checkpoints are saved where the loops stand at a boundary: after a validation, or after a step that
none follows. Both are places from which Lightning goes on exactly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch

from nestgraph.errors import InputError
from nestgraph.training import texts
from nestgraph.training.board import Board
from nestgraph.training.checkpoint import BEST, LAST
from nestgraph.training.interruption import Interruption, TrainingStopped
from nestgraph.training.metrics_file import STEP, MetricsFile, Row
from nestgraph.training.module import NestModule
from nestgraph.training.report import at_step
from nestgraph.training.sizes import Sizes

SECONDS = "seconds"
VALIDATION = ("val_loss", "val_bits_per_byte")


class _Table(L.Callback):
    """A table in a file, which is closed however the training ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: MetricsFile | None = None

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close the file."""
        self._close()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


class Metrics(_Table):
    """Writes metrics.csv: the loss, the clocks and sizes of all levels, and validations.

    Args:
        path: of the file.
        sizes: a callback before this one, which measures the levels.
        board: gets every row, too.
    """

    def __init__(self, path: Path, sizes: Sizes, board: Board | None = None) -> None:
        super().__init__(path)
        self._sizes = sizes
        self._board = board
        self._row: Row = {}

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Begin the row of this step."""
        self._flush()
        assert isinstance(pl_module, NestModule)
        step = trainer.global_step
        losses = {STEP: step, "train_loss": outputs["loss"].item()}
        self._row = {**losses, **pl_module.level_metrics(), **self._sizes.row()}
        if self._file is None:
            columns = [STEP, "train_loss", *VALIDATION, *list(self._row)[2:]]
            self._file = MetricsFile(self._path, columns, after=step - 1)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Complete the row of a step that a validation follows."""
        self._row |= self._sizes.row()
        self._row |= {name: trainer.callback_metrics[name].item() for name in VALIDATION}
        self._flush()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write what is left."""
        if self._file is not None:
            self._flush()
        super().teardown(trainer, pl_module, stage)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Write what is left, unless writing is what failed."""
        if isinstance(exception, TrainingStopped):
            self._flush()
        super().on_exception(trainer, pl_module, exception)

    def _flush(self) -> None:
        row, self._row = self._row, {}
        if row and self._file is not None:
            self._file.write(row)
            if self._board is not None:
                self._board.write(row)

    def _close(self) -> None:
        super()._close()
        if self._board is not None:
            self._board.close()


class Times(_Table):
    """Writes times.csv: the seconds that each step took, without loading and validations.

    A file of its own, because times differ from run to run where metrics.csv does not.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._began = 0.0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write the row of this step, once its loss is known."""
        outputs["loss"].item()  # a device that works on its own may not be done
        seconds, step = time.perf_counter() - self._began, trainer.global_step
        if self._file is None:
            self._file = MetricsFile(self._path, [STEP, SECONDS], after=step - 1)
        self._file.write({STEP: step, SECONDS: seconds})


class CheckpointCallback(L.Callback):
    """Saves the last and the best state, stops where it should, and notices a broken training.

    Args:
        folder: of the run.
        steps: after which training ends, with a validation.
        val_interval: steps between validations.
        interruption: whether somebody pressed Ctrl-C.
        text: what the checkpoints remember of the text.
    """

    def __init__(
        self,
        folder: Path,
        *,
        steps: int,
        val_interval: int,
        interruption: Interruption,
        text: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._steps = steps
        self._val_interval = val_interval
        self._interruption = interruption
        self._text = dict(text)
        self.best = math.inf

    def state_dict(self) -> dict[str, Any]:
        """Return the best loss so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the best loss of before."""
        self.best = state_dict["best"]

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let the checkpoint remember the text."""
        checkpoint[texts.ENTRY] = self._text

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save a new run before its first step, so that it can be gone on with at any time."""
        self._interruption.listen()
        if not (self._folder / LAST).is_file():
            trainer.save_checkpoint(self._folder / LAST)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """End the training at its last step, or earlier if somebody wishes."""
        step = trainer.global_step
        assert isinstance(pl_module, NestModule)
        self._require_gradients(trainer, pl_module)
        validates = step % self._val_interval == 0 or step >= self._steps
        if step >= self._steps:
            trainer.should_stop = True  # which also makes Lightning validate
        if self._interruption.wished and not validates:
            self._stop(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save."""
        loss = trainer.callback_metrics["val_loss"]
        self._require_finite(loss, "validation loss", trainer.global_step)
        if loss.item() < self.best:
            self.best = loss.item()
            trainer.save_checkpoint(self._folder / BEST)
        if self._interruption.wished and trainer.global_step < self._steps:
            self._stop(trainer)
        trainer.save_checkpoint(self._folder / LAST)

    def _require_gradients(self, trainer: L.Trainer, module: NestModule) -> None:
        """End a training whose gradients are no numbers any more, at its last good state."""
        if module.is_broken:
            trainer.save_checkpoint(self._folder / LAST)  # skipped steps have moved nothing
            raise module.broken(f"{self._folder / LAST} holds the last good state")

    def _stop(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self._folder / LAST)
        raise TrainingStopped(saved=True)

    def _require_finite(self, loss: torch.Tensor, name: str, step: int) -> None:
        if math.isfinite(loss.item()):
            return
        saved = self._folder / LAST
        kept = f"{saved} holds the last good state" if saved.is_file() else "nothing was saved"
        raise InputError(
            "NG731",
            f"the {name} became {loss.item()} at step {step}; {kept}",
            "lower `training.lr` or the rates of the memories, or normalise what they are fed",
        )


class Lines(L.Callback):
    """One line at each validation."""

    def __init__(self, write: Callable[[str], None], steps: int) -> None:
        self._write = write
        self._steps = steps

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say where the training is."""
        train, *validation = (
            trainer.callback_metrics[name].item() for name in ("train_loss", *VALIDATION)
        )
        nats, bits = validation
        self._write(
            f"{at_step(trainer.global_step, self._steps)}  training {train:.4f}"
            f"  validation {nats:.4f} nats = {bits:.4f} bits per byte"
        )
