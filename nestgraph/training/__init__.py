"""Training under Lightning: clocks, batches, checkpoints; `fit.fit` is what the command line runs.

Importing this package is quick; PyTorch and Lightning are imported when a name is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nestgraph.errors import SpecError
from nestgraph.seeds import checked_seed

if TYPE_CHECKING:
    from nestgraph.spec import Spec
    from nestgraph.training.checkpoint import load_run
    from nestgraph.training.module import NestModule

__all__ = ["NestModule", "compile", "load_run"]

_HOMES = {
    "NestModule": "module",
    "load_run": "checkpoint",
}


def compile(spec: Spec, *, seed: int | None = None, blank: bool = False) -> NestModule:
    """Return a module that trains and runs what the spec says.

    Args:
        spec: of a model.
        seed: of the first weights; the spec's own `training.seed` if None.
        blank: whether these stay without numbers, because a checkpoint's are about to take their
            place.

    Raises:
        SpecError: when the spec asks for something that can't be compiled yet, or for a file
            that isn't there.
        InputError: when `seed` is no whole number of 63 bits.
    """
    from nestgraph.compiler import compile_model
    from nestgraph.training.module import NestModule

    first = spec.system.training.seed if seed is None else checked_seed(seed)
    try:
        model = compile_model(spec.system, seed=first, blank=blank)
    except SpecError as error:  # the compiler knows places, but not the texts they are in
        raise SpecError(error.diagnostics, error.sources or spec.sources) from None
    return NestModule(model, spec)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
