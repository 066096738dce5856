"""How Lightning saves and loads: a full disk never costs the last good file, and none runs code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from nestgraph.training.checkpoint import Verified, read_checkpoint
from nestgraph.training.files import replace_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and takes its place when complete; reads plain values only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save a checkpoint whole or not at all.

        Raises:
            InputError: when it can't be written.
        """
        if storage_options is not None:
            raise TypeError("`storage_options` has no meaning for files on a disk")
        # In memory first: PyTorch's own writer hides why a disk refused.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        replace_file(Path(path), buffer.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint without running code of it, whatever is asked; to the CPU first.

        Raises:
            InputError: when it is damaged, lacks a part or is not nestgraph's.
        """
        return Verified(read_checkpoint(Path(path), whole=True))
