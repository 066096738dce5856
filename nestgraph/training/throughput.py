"""When a run has been silent for long, and how fast it is then."""

from __future__ import annotations

import time
from collections.abc import Callable

from nestgraph.training.report import duration

SILENCE = 15.0  # seconds; a log of an hour stays short, and a wrong setting shows soon


class Throughput:
    """How fast a run is, told once its output has been silent for `SILENCE` seconds.

    The speed is that since its last line, validations left out; the time left is what the rest
    takes if it goes on as the whole run has so far, validations included.

    Args:
        steps: after which the run ends.
        clock: seconds, from any moment on.
    """

    def __init__(self, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._steps = steps
        self._clock = clock
        self.begin()

    def begin(self, step: int = 0, tokens: int = 0) -> None:
        """Start the clock, at a step before which `tokens` were predicted."""
        self._first = step
        self._began = self._said = self._clock()
        self._tokens = tokens

    def said(self, tokens: int) -> None:
        """Take note that the run has just said something, `tokens` predicted so far."""
        self._said, self._tokens = self._clock(), tokens

    def after(self, step: int, tokens: int) -> str | None:
        """Return what to say behind a step, `tokens` predicted so far: nothing most of the time."""
        now = self._clock()
        silent = now - self._said
        if silent < SILENCE:
            return None
        speed = (tokens - self._tokens) / silent
        left = (now - self._began) / (step - self._first) * (self._steps - step)
        self._said, self._tokens = now, tokens
        return f"{speed:.0f} tokens/s  {duration(left)} left"
