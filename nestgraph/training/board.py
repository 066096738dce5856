"""What TensorBoard shows of a run: the pictures of its spec, and every column of metrics.csv.

Event files lie in the run folder, in `tensorboard`. A run that is resumed goes on with them:
events of steps that were lost are hidden.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.errors import InputError
from nestgraph.training.files import unwritable
from nestgraph.training.metrics_file import STEP, Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from nestgraph.language.spec import Spec
    from nestgraph.viz.flows.views import ViewName

FOLDER = "tensorboard"
VIEWS: tuple[ViewName, ...] = ("levels", "block", "clock", "optimizer")


def wants_board(home: Path | None, asked: bool) -> bool:
    """Return whether a run writes event files: if asked to, or if its folder has some from before.

    Raises:
        InputError: tensorboard is not installed.
    """
    before = home is not None and (home / FOLDER).is_dir()
    if not asked and not before:
        return False
    if find_spec("tensorboard") is None:
        raise InputError(
            "NG809",
            "event files need tensorboard, which is not installed",
            "pip install 'nestgraph[tensorboard]', or '.[tensorboard]' in a checkout",
        )
    return True


class Board:
    """The event files of a run.

    Args:
        place: the folder of the run.
        spec: of the run, whose pictures and text are shown.
        after: events of later steps belong to work that was lost, and are hidden.
    """

    def __init__(self, place: Path, spec: Spec, *, after: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = place / FOLDER
        try:
            self._writer = SummaryWriter(str(self._folder), purge_step=after + 1)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        if after == 0:
            _introduce(self._writer, spec)

    def write(self, row: Row) -> None:
        """Add the numbers of a row of metrics.csv.

        Raises:
            InputError: when the disk is full.
        """
        step = int(row[STEP] or 0)
        try:
            for name, value in row.items():
                if name != STEP and value is not None:
                    self._writer.add_scalar(name, value, step)
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def close(self) -> None:
        """End the files."""
        try:
            self._writer.close()
        except OSError as error:
            raise unwritable(self._folder, error) from error


def _introduce(writer: SummaryWriter, spec: Spec) -> None:
    """Add the spec in pictures and in words."""
    from nestgraph.viz import DrawError, draw

    for view in VIEWS:
        try:
            picture = draw(spec, format="png", view=view)
        except DrawError as error:  # as the run's own picture: said, and trained without
            writer.add_text(view, f"no picture: {error}", 0)
            continue
        assert isinstance(picture, bytes)
        _add_picture(writer, view, picture)
    text = "\n".join(f"    {line}" for line in spec.resolved_yaml().splitlines())
    writer.add_text("spec", text, 0)


def _add_picture(writer: SummaryWriter, tag: str, png: bytes) -> None:
    """Add the PNG as it is; the writer's own way would decode it first."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = struct.unpack(">II", png[16:24])  # of the header, which comes first
    image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
    summary = Summary(value=[Summary.Value(tag=tag, image=image)])
    assert writer.file_writer is not None
    writer.file_writer.add_summary(summary, 0)
