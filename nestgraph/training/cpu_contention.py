"""Whether others want the cores that PyTorch's threads are about to share.

Between two parallel parts a thread of OpenMP spins for a moment, waiting for the others. Where
another process holds the core of one of them, every part waits for the scheduler: a small model
then trains several times faster on a single thread, which waits for nobody.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

IDLE = 0.7  # of a core that others may take before it shows
LOOK = 0.2  # seconds; the kernel counts in hundredths
COUNTS = Path("/proc/stat")


def crowd() -> str | None:
    """Return a line to print before a long run, if there is reason to; None on a quiet machine."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    if not COUNTS.is_file() or advice(os.getloadavg()[0], cores, threads) is None:
        return None
    # What was busy in the last minute may be done: an installation, most often.
    return advice(_busy() * cores, cores, threads)


def _busy() -> float:
    """Return the share of all cores' time that is taken just now, by others: this process
    sleeps.
    """
    idle, total = _counts()
    time.sleep(LOOK)
    idle_then, total_then = _counts()
    return 1 - (idle_then - idle) / max(1, total_then - total)


def _counts() -> tuple[int, int]:
    """Return hundredths of seconds that all cores were idle, and all of them."""
    numbers = [int(n) for n in COUNTS.read_text().split("\n", 1)[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)  # idle, and waiting for a disk


def advice(load: float, cores: int, threads: int) -> str | None:
    """Return what to say of threads that others leave too few cores; None where there are enough.

    Args:
        load: cores that others take.
        cores: of the machine.
        threads: of PyTorch.
    """
    free = max(1, int(cores - load + IDLE))
    if threads <= free:
        return None
    return (
        f"others keep {load:.1f} of {cores} cores busy, and {threads} threads wait for each other:"
        f" OMP_NUM_THREADS={free} may be several times as fast"
    )
