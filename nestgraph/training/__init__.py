"""Training under Lightning: clocks, batches, checkpoints; `fit.fit` is what the command line runs.

Importing this package is quick; PyTorch and Lightning are imported when a name is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nestgraph.training.build import compile
    from nestgraph.training.loading import load_run
    from nestgraph.training.module import NestModule

__all__ = ["NestModule", "compile", "load_run"]

_HOMES = {
    "NestModule": "module",
    "compile": "build",
    "load_run": "loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
