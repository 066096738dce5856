"""Whether others want the cores that PyTorch's threads are about to share.

Between two parallel parts a thread of OpenMP spins for a moment, waiting for the others. Where
another process holds the core of one of them, every part waits for the scheduler: a small model
then trains several times faster on a single thread, which waits for nobody.
"""

from __future__ import annotations

import os

import torch

IDLE = 0.7  # of a core that others may take before it shows


def crowd() -> str | None:
    """A line to print before a long run, if there is reason to; None on a quiet machine."""
    if not hasattr(os, "getloadavg"):
        return None
    return advice(os.getloadavg()[0], os.cpu_count() or 1, torch.get_num_threads())


def advice(load: float, cores: int, threads: int) -> str | None:
    """What to say of threads that others leave too few cores; None where there are enough.

    Args:
        load: processes that wanted a core in the last minute.
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
