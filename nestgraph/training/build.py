"""Modules that train, from specs."""

from __future__ import annotations

from nestgraph.compiler import compile_model
from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec
from nestgraph.runtime.seeds import checked_seed
from nestgraph.training.module import NestModule


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
    first = spec.system.training.seed if seed is None else checked_seed(seed)
    try:
        model = compile_model(spec.system, seed=first, blank=blank)
    except SpecError as error:  # the compiler knows places, but not the texts they are in
        raise SpecError(error.diagnostics, error.sources or spec.sources) from None
    return NestModule(model, spec)
