"""Peak memory of one step: bytes alive in tensors, as PyTorch's own allocator counts them.

The profiler records every allocation and release; the peak of their running sum is the most that
was alive at once during the step, over what lived before it: activations kept for the backward,
gradients and scratch space of kernels. Parameters and inputs are not in it, nor is the Python
process, nor what MKL and oneDNN reserve for themselves. It is the same number on every run.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.steps import Move, Step


def peak_bytes(step: Step | Move) -> int:
    """Return the most bytes alive during a step that were not alive before it."""
    from torch.profiler import ProfilerActivity, profile

    step.clear()
    gc.collect()
    with (
        silent_stderr(),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen,
    ):
        step()
    assert seen.profiler is not None
    results = seen.profiler.kineto_results
    assert results is not None
    alive = peak = 0
    for event in results.events():
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return peak


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Keep the profiler's library from announcing itself; errors still arrive as exceptions."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
