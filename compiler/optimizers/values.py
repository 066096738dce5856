"""Flows while a step runs: lists of tensors, one a parameter, with what is still to be done.

A factor common to all parameters is kept as a number, and squares and quotients wait, until it is
known what they are for: `param ← param − lr · a / b` is one pass of `addcdiv` then, and an average
of squares one of `addcmul`. Elementwise work is done by `torch._foreach_*` on whole lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tensors = list[Tensor]


@dataclass(slots=True)
class Cells:
    """scale · tensors.

    Attributes:
        tensors: one a parameter.
        scale: a factor of all of them.
        owned: whether nobody else looks at the tensors, so that they may be overwritten.
        source: the memory whose running state they are, which its write will move.
    """

    tensors: Tensors
    scale: float = 1.0
    owned: bool = False
    source: str | None = None


@dataclass(slots=True)
class Square:
    """scale · base²."""

    base: Tensors
    scale: float = 1.0
    source: str | None = None


@dataclass(slots=True)
class Quotient:
    """scale · above / below; `owned` when the tensors above may be overwritten."""

    above: Tensors
    below: Tensors
    scale: float = 1.0
    owned: bool = False
    sources: frozenset[str | None] = field(default_factory=frozenset)


@dataclass(slots=True)
class Rounded:
    """scale · tensors, which are kept in a shorter type than that of the parameters."""

    tensors: Tensors
    kind: torch.dtype
    scale: float = 1.0


@dataclass(slots=True)
class Sum:
    """scale · (first + alpha · second)."""

    first: Tensors
    second: Tensors
    alpha: float
    scale: float = 1.0
    sources: frozenset[str | None] = field(default_factory=frozenset)

    def of(self, places: list[int]) -> Tensors:
        """Return first + alpha · second for some of the parameters."""
        first = [self.first[place] for place in places]
        second = [self.second[place] for place in places]
        return list(torch._foreach_add(first, second, alpha=bounded(self.alpha, first)))


def bounded(factor: float, like: Tensors) -> float:
    """Return a factor as the type of some tensors holds it: infinite beyond its range.

    PyTorch raises where a factor is too large for a type, though a product of two numbers that
    fit may be.
    """
    if not like or abs(factor) <= torch.finfo(like[0].dtype).max:
        return factor
    return math.copysign(math.inf, factor) if factor == factor else factor


Value = float | Cells | Square | Quotient | Rounded | Sum


def cells(value: Value) -> Cells:
    """Return a flow as scaled tensors; what waited is done."""
    if isinstance(value, Square):
        return Cells(list(torch._foreach_mul(value.base, value.base)), value.scale, owned=True)
    if isinstance(value, Quotient):
        if value.owned:
            value.owned = False
            torch._foreach_div_(value.above, value.below)
            return Cells(value.above, value.scale, owned=True)
        return Cells(list(torch._foreach_div(value.above, value.below)), value.scale, owned=True)
    if isinstance(value, Sum):
        alpha = bounded(value.alpha, value.first)
        fresh = torch._foreach_add(value.first, value.second, alpha=alpha)
        return Cells(list(fresh), value.scale, owned=True)
    if isinstance(value, Rounded):
        # Where the types are the same these are the very tensors, at which others may look.
        owned = all(tensor.dtype != value.kind for tensor in value.tensors)
        return Cells([tensor.to(value.kind) for tensor in value.tensors], value.scale, owned=owned)
    assert isinstance(value, Cells), "a number has no cells"
    return value


def plain(value: Value) -> Cells:
    """Return a flow as tensors with factor 1."""
    x = cells(value)
    if x.scale == 1.0:
        return x
    scale = bounded(x.scale, x.tensors)
    if x.owned:
        torch._foreach_mul_(x.tensors, scale)
        return Cells(x.tensors, owned=True)
    return Cells(list(torch._foreach_mul(x.tensors, scale)), owned=True)


def shared(value: Value) -> Cells:
    """Return a flow whose tensors another value will hold on to: nobody may overwrite them now."""
    x = cells(value)
    x.owned = False
    return x


def depends_on(value: Value, memory: str) -> bool:
    """Return whether a flow is (made lazily of) the running state of a memory."""
    if isinstance(value, Quotient | Sum):
        return memory in value.sources
    return isinstance(value, Cells | Square) and value.source == memory


def kept(value: Value) -> Value:
    """Return the same flow in tensors of its own."""
    if isinstance(value, Cells):
        return Cells([tensor.clone() for tensor in value.tensors], value.scale, owned=True)
    return value if isinstance(value, float) else cells(value)


def add_(target: Tensors, value: Value, factor: float = 1.0) -> None:
    """Compute target += factor · value, in one pass."""
    if factor == 0.0:
        return
    factor = bounded(factor * (1.0 if isinstance(value, float) else value.scale), target)
    if isinstance(value, Square):
        torch._foreach_addcmul_(target, value.base, value.base, value=factor)
    elif isinstance(value, Quotient):
        torch._foreach_addcdiv_(target, value.above, value.below, value=factor)
    elif isinstance(value, Sum):
        torch._foreach_add_(target, value.first, alpha=factor)
        torch._foreach_add_(target, value.second, alpha=bounded(factor * value.alpha, target))
    elif isinstance(value, Cells | Rounded):
        torch._foreach_add_(target, value.tensors, alpha=factor)
    else:
        torch._foreach_add_(target, bounded(factor * value, target))


def by_shape(*flows: Sequence[Tensor]) -> list[list[int]]:
    """Return places at which the tensors of every flow can be stacked.

    A flow's own shape is not enough: products of rows are alike for matrices of one height, and
    what they are multiplied with is not.
    """
    found: dict[object, list[int]] = {}
    for place, tensors in enumerate(zip(*flows, strict=True)):
        alike = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
        found.setdefault(alike, []).append(place)
    return list(found.values())


def stacked(function: Callable[..., Tensor], *flows: Tensors) -> Tensors:
    """Return a function of (k, …, rows, channels) on lists of matrices, once for each shape."""
    answers: Tensors = list(flows[0])
    for places in by_shape(*flows):
        stacks = (torch.stack([flow[place] for place in places]) for flow in flows)
        for place, answer in zip(places, function(*stacks).unbind(0), strict=True):
            answers[place] = answer
    return answers
