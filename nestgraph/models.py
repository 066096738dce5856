"""The model of a spec, where only a model will do."""

from __future__ import annotations

from nestgraph.errors import InputError
from nestgraph.system import Model, System


def model_of(system: System) -> Model:
    """The model that a spec describes.

    Raises:
        InputError: it describes an optimizer.
    """
    if system.model is None:
        hint = "name a spec that has a `model`, whose `training.optimizer` it can be"
        raise InputError("NG723", f"`{system.name}` is an optimizer, not a model", hint)
    return system.model
