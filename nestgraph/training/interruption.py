"""Ctrl-C during training: finish the step, save, stop; a second one stops at once.

So do SIGTERM, the hangup of a terminal, and SIGUSR1, by which clusters warn of a job's end. The
latter two may come twice without anybody being impatient. A signal that was to be ignored when
the program began, as `nohup` has it, stays ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

WORDS = b"\nstopping after this step; once more stops at once\n"
STDERR = 2
STDOUT = 1
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
SIGNALS = tuple(signal.Signals[one] for one in _NAMES if one in signal.Signals.__members__)
IMPATIENT = (signal.SIGINT, signal.SIGTERM)


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
        self._terminals: list[int] = []

    def __enter__(self) -> Self:
        # Python lets only the main thread say what a signal does.
        if threading.current_thread() is threading.main_thread():
            self._terminals = [stream for stream in (STDOUT, STDERR) if os.isatty(stream)]
            handlers = {number: signal.getsignal(number) for number in SIGNALS}
            self._before = {n: h for n, h in handlers.items() if h is not signal.SIG_IGN}
        self.listen()
        return self

    def listen(self) -> None:
        """Hear the signals alone, whoever has begun to since.

        Lightning hears SIGTERM, too, and would leave in the middle of a validation, without a save.
        """
        for number in self._before:
            signal.signal(number, self._receive)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number not in IMPATIENT:
            self._leave_terminal(number)
        elif self.wished:
            raise TrainingStopped(saved=False)
        self.wished = True
        with contextlib.suppress(OSError):  # stderr may be closed
            os.write(STDERR, WORDS)  # not by `print`: the signal may have come in one

    def _leave_terminal(self, number: int) -> None:
        """Write nowhere from now on where the terminal has gone, so that no word stops a save."""
        if number != getattr(signal, "SIGHUP", None):
            return
        with contextlib.suppress(OSError):
            for stream in self._terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
