"""Where numbers come from: software, processor, threads, and how busy others kept the machine."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

from nestgraph.training.environment import cores, processor

TICKS_A_SECOND = 100  # of /proc/stat, on every Linux that matters


def describe(threads: int) -> dict[str, str | int | float]:
    """Return the surroundings of a measurement, as plain values."""
    import torch

    import nestgraph

    return {
        "nestgraph": nestgraph.__version__,
        "nestgraph_from": str(Path(nestgraph.__file__).parent.parent),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": processor(),
        "cores": cores(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "load": load(),
    }


def sentence(surroundings: dict[str, str | int | float]) -> str:
    """Return the surroundings in one line."""
    e = surroundings
    return (
        f"nestgraph {e['nestgraph']} from {e['nestgraph_from']}, PyTorch {e['torch']}, Python"
        f" {e['python']}, {e['threads']} threads on {e['cores']} cores of {e['processor']},"
        f" {e['system']}; load before {e['load']:.1f}"
    )


def load() -> float:
    """Return processes that wanted to run, averaged over the last minute."""
    return os.getloadavg()[0]


class Neighbours:
    """Counts how many cores other processes kept busy since this was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def cores(self) -> float | None:
        """Return the mean since the beginning; None where the system doesn't tell."""
        busy, passed = _busy_seconds(), time.monotonic() - self._began
        if busy is None or self._busy is None or passed <= 0:
            return None
        others = (busy - self._busy) - (_own_seconds() - self._own)
        return max(0.0, others / passed)

    def __str__(self) -> str:
        found = self.cores()
        return "unknown" if found is None else f"{found:.1f} cores"


def _busy_seconds() -> float | None:
    """Return processor seconds of everybody since the start of the machine, stolen ones
    included.
    """
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, first.split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
