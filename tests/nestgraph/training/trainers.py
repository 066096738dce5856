"""Trainers that say nothing, and loaders that hand out batches as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

Batch = Tensor | Sequence[Tensor]


class Loader:
    """Batches as they are; Lightning would take a plain list for a list of loaders."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def trainer(steps: int, folder: Path, **settings: Any) -> L.Trainer:
    """Return a user's own trainer, without files or lines."""
    quiet = {
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
        "logger": False,
    }
    return L.Trainer(max_steps=steps, default_root_dir=folder, **{**quiet, **settings})
