"""Ctrl-C during training: finish the step, save, stop; a second one stops at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

WORDS = b"\nstopping after this step; once more stops at once\n"
STDERR = 2
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(Exception):
    """Raised inside Lightning's loops to leave them because somebody wished it.

    Attributes:
        saved: whether everything up to now is in the last checkpoint.
    """

    def __init__(self, *, saved: bool) -> None:
        super().__init__("training was interrupted")
        self.saved = saved


class Interruption:
    """Watches for signals while its `with` block runs.

    Attributes:
        wished: whether somebody wants the training to stop.
    """

    def __init__(self) -> None:
        self.wished = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python lets only the main thread say what a signal does.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.wished:
            raise TrainingStopped(saved=False)
        self.wished = True
        with contextlib.suppress(OSError):  # stderr may be closed
            os.write(STDERR, WORDS)  # not by `print`: the signal may have come in one
