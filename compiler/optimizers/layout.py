"""Parameters as a program sees them: matrices of a type that everything it does is made for.

A parameter of another layout (channels last, say) is worked on as a copy, whose numbers are put
back after the step. One of 16 bits is worked on in float32, and what is remembered of it is kept
so: roots, quotients and averages of squares that are rounded to 16 bits stand still or divide
by 0, and no inverse or eigenvector is computed in them at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nestgraph.errors import InputError

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check(name: str, x: Tensor, stacked: bool) -> None:
    """Refuse a parameter that no program can move.

    Args:
        name: of the parameter, for the message.
        x: its values.
        stacked: whether it is said to be a stack of matrices.

    Raises:
        InputError: it is complex, whole or of another unusual type, sparse, shares memory with
            itself, or is no stack though it is said to be one.
    """
    why, hint = _fault(x, stacked)
    if why:
        raise InputError("NG754", f"`{name}` {why}", hint)


def _fault(x: Tensor, stacked: bool) -> tuple[str, str]:
    if x.dtype not in TYPES:
        return (
            f"is {told(x.dtype)}; an optimizer moves real numbers of 16, 32 or 64 bits",
            "give it real parameters; `torch.view_as_real` makes them of complex ones",
        )
    if x.layout != torch.strided:
        return f"is {told(x.layout)}; an optimizer moves dense parameters", "call `.to_dense()`"
    if any(step == 0 and size > 1 for step, size in zip(x.stride(), x.shape, strict=True)):
        return "is an expanded view, whose numbers lie on one another", "call `.contiguous()`"
    if stacked and x.ndim < 3:
        return (
            f"has shape {tuple(x.shape)}, so it is no stack of matrices",
            "leave `stacked` out for it",
        )
    return "", ""


def told(kind: torch.dtype | torch.layout) -> str:
    """Return a type or a layout without the name of its module."""
    return str(kind).removeprefix("torch.")


def working(kind: torch.dtype) -> torch.dtype:
    """Return the type in which parameters of a type are moved, and in which their states are
    kept.
    """
    return torch.float32 if kind.itemsize < 4 else kind


def seen(x: Tensor, *, rows: bool, stacked: bool) -> Tensor:
    """Return a parameter or its gradient as a program sees it: a view where one will do, else a
    copy.

    Args:
        x: at least one number.
        rows: whether the program tells rows from channels: (rows, channels) then, or
            (heads, rows, channels) for a stack of matrices; else the shape stays.
        stacked: whether it is a stack of matrices.
    """
    x = x.to(working(x.dtype))
    if not rows or (x.ndim == 2 and not stacked):
        return x
    if stacked:
        return x.flatten(0, -3)
    return x.reshape(1, -1) if x.ndim < 2 else x.flatten(1)


def put_back(parameters: Sequence[Tensor], moved: Sequence[Tensor]) -> None:
    """Write what was moved as a copy to the parameter that it is one of."""
    for parameter, one in zip(parameters, moved, strict=True):
        if one.data_ptr() != parameter.data_ptr():
            parameter.copy_(one.view(parameter.shape))
