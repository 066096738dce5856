"""Is the memory of a stream constant in the length read? One process reads on and on.

The model is that of `continual`, tiny, with three levels; what counts is what its process takes
and what its state holds after so many tokens. Allocators and caches fill up at first, so that the
first line is no measure; the later ones should be equal.
"""

from __future__ import annotations

import resource
import time

import torch

from benchmarks import environment
from benchmarks.continual import SPEC
from benchmarks.levels_read import Setting
from nestgraph.compiler import compile_model
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.language.spec import load

SMALL = {"vars.width": "16", "vars.heads": "2", "vars.depth": "1"}
SETTING = Setting(levels=3, slowest=2048, rate=0.001)
PIECE = 2000  # tokens; no multiple of a period, so that every piece ends within a segment


def read_long(tokens: int) -> int:
    """Read random tokens and print a line at every power of ten from 10,000 on."""
    torch.set_num_threads(1)
    print(environment.sentence(environment.describe(1)), flush=True)
    print(f"{'tokens':>12}{'peak MiB':>12}{'state bytes':>14}{'minutes':>10}")
    spec = load(str(SPEC), {**SMALL, **SETTING.overrides()})
    model, state, began, mark = compile_model(spec.system, seed=0), None, time.monotonic(), 10_000
    for done in range(PIECE, tokens + 1, PIECE):
        with torch.no_grad():
            state = model(torch.randint(256, (1, PIECE)), state).state
        if done >= mark or done + PIECE > tokens:
            print(line(model, state, done, time.monotonic() - began), flush=True)
            mark *= 10
    return 0


def line(model: CompiledModel, state: object, done: int, seconds: float) -> str:
    """Return what the process takes, and what its state holds."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    flat = model.flat_state(state)  # type: ignore[arg-type]
    held = sum(tensor.nbytes for tensor in flat.values())
    return f"{done:>12,}{peak:>12,.1f}{held:>14,}{seconds / 60:>10.1f}"
