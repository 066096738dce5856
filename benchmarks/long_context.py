"""Peak memory of training one mixer over a long sequence, as the system counts it.

Every mixer gets a process of its own, which takes one short step first, hands back what the heap
no longer uses, and then takes one step, forward and backward, over the whole sequence. The peak
is the highest resident memory during that step over what it was right before: activations,
gradients and scratch space. `memory.py` counts every allocation instead, and would need hours for
loops this long.

The heap of that process gives freed blocks back to the system from 64 KiB on. By default glibc
keeps them for later, in pieces that the next segment may not fit into: then the resident memory
of a long loop is several times what lives in it.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import environment
from benchmarks.failure import BenchmarkError
from benchmarks.families import chosen
from benchmarks.steps import Size

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # see proc(5)
HEAP = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_MMAP_MAX_": "1000000"}
SHORT = 256
KIB, GB = 1024, 1e9


def measure_memory(names: tuple[str, ...], *, tokens: int, width: int, threads: int) -> int:
    """Measure one mixer after the other and print a row as soon as it is known."""
    print(environment.sentence(environment.describe(threads)))
    print(f"forward and backward, float32, batch 1, {tokens:,} tokens, width {width}\n")
    print("| | peak GB |\n| --- | ---: |", flush=True)
    for family in chosen(names):
        peak = _apart(family.name, Size(batch=1, time=tokens, width=width), threads)
        print(f"| `{family.name}` | {peak / GB:.2f} |", flush=True)
    return 0


def peak_of(name: str, size: Size, threads: int) -> int:
    """Return bytes at the peak of a step in this process, which should have done nothing else.

    Raises:
        BenchmarkError: where the system doesn't tell.
    """
    import torch

    torch.set_num_threads(threads)
    (family,) = chosen((name,))
    family.step(Size(batch=1, time=min(SHORT, size.time), width=size.width))()
    step = family.step(size)
    before = _fresh_peak()
    step()
    return _resident("VmHWM") - before


def _apart(name: str, size: Size, threads: int) -> int:
    """Return `peak_of` in a new process."""
    found = [str(Path(entry).resolve()) for entry in sys.path if Path(entry).exists()]
    settings = {"PYTHONPATH": os.pathsep.join(found), "OMP_NUM_THREADS": str(threads), **HEAP}
    order = json.dumps({"name": name, "size": asdict(size), "threads": threads})
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"from {__name__} import answer; answer()"],
        input=order,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"measuring `{name}` failed: {done.stderr.strip()}")
    return int(done.stdout.splitlines()[-1])


def answer() -> None:
    """Read from standard input what to measure, and print it: what the new process does."""
    order = json.load(sys.stdin)
    print(peak_of(order["name"], Size(**order["size"]), order["threads"]))


def _fresh_peak() -> int:
    """Hand free memory back and forgets the peak so far; bytes resident now."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text(RESET_PEAK, encoding="ascii")
    except (OSError, AttributeError) as error:
        raise BenchmarkError(f"peak memory is counted on Linux with glibc only: {error}") from error
    return _resident("VmRSS")


def _resident(which: str) -> int:
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * KIB
    raise BenchmarkError(f"{STATUS} has no {which}")
