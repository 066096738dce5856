"""The model of a spec, where only a model will do, or only one that goes on with a text."""

from __future__ import annotations

from nestgraph.errors import InputError
from nestgraph.language.system import Model, System


def model_of(system: System) -> Model:
    """Return the model that a spec describes.

    Raises:
        InputError: it describes an optimizer.
    """
    if system.model is None:
        hint = "name a spec that has a `model`, whose `training.optimizer` it can be"
        raise InputError("NG723", f"`{system.name}` is an optimizer, not a model", hint)
    return system.model


def require_next_tokens(system: System) -> None:
    """Make sure that a model scores its own tokens, of which texts are made.

    Raises:
        InputError: its head has other classes (NG736).
    """
    model = model_of(system)
    if model.classes == model.vocab:
        return
    said = (
        f"`{system.name}` answers with {model.classes} classes, not with its {model.vocab} tokens"
    )
    hint = "give it pairs of inputs and targets under an `L.Trainer`, or leave `head: {out}` out"
    raise InputError("NG736", f"{said}, so that no text goes on with it", hint)
