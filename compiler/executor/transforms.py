"""Transforms of `torch.func` and forward-mode derivatives meet a model: refused in words.

The kernels are `torch.autograd.Function`s whose backward is written by hand: they keep what their
forward found on the way, which such transforms can't hand on. PyTorch's refusal names a method of
a class that no author of a spec has written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import torch

from nestgraph.errors import InputError


class _Model(Protocol):
    @property
    def learns(self) -> bool:
        """Return whether memories take gradients of their own while the model reads."""


P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=_Model)
_THEIRS = re.compile(r"functorch transforms|forward (mode )?AD|vmap")  # what PyTorch says of them


def without_transforms(run: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Return a method of a model that says so when a transform reaches a kernel."""

    @functools.wraps(run)
    def told(model: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        # Inner gradients within a transform would leave the transform's own out, and say nothing.
        if model.learns and torch._C._are_functorch_transforms_active():
            raise _refusal()
        try:
            return run(model, *args, **kwargs)
        except RuntimeError as error:
            if _THEIRS.search(str(error)):
                raise _refusal() from error
            raise

    return told


def _refusal() -> InputError:
    return InputError(
        "NG734",
        "a compiled model doesn't run inside transforms of `torch.func` (grad, vjp, jvp, vmap, ...)"
        " or forward-mode derivatives",
        "take `torch.autograd.grad` or `.backward()` of what it answers; its parameters may come"
        " from `torch.func.functional_call`, and rows go in one batch",
    )
