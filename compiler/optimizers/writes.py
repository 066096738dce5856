"""Writes of `vector` memories, in place: S ← β S − η G;  A ← α A + γ D(S).

The common cases take as few passes over the parameters as they can: an average is one `lerp`
(two for squares), an accumulator one `add`, and a step along a quotient one `addcdiv`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nestgraph.compiler.optimizers.matrices import orthogonal
from nestgraph.compiler.optimizers.values import (
    Cells,
    Square,
    Tensors,
    Value,
    add_,
    bounded,
    cells,
    plain,
)
from nestgraph.language.system import Memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """The coefficients of one write."""

    rate: float
    retain: float
    momentum: float
    step: float
    erase: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Buffers:
    """What is remembered of one layer of a memory, a tensor for each parameter.

    Attributes:
        running: A.
        anchor: Θ; the same tensors as A where it never differs from it.
        momentum: S; None without momentum.
    """

    running: Tensors
    anchor: Tensors
    momentum: Tensors | None


def write_vector(memory: Memory, at: Buffers, value: Value, rates: Rates) -> None:
    """Carry out one write of a `vector` memory.

    Args:
        memory: what is written.
        at: its state, changed in place.
        value: what it stores; for the parameter, what it descends along.
        rates: of this step.
    """
    objective = memory.objective
    simple = at.momentum is None and memory.rule.direction == "gradient"
    if simple and objective.kind in ("dot", "task"):
        sign = objective.scale if objective.kind == "dot" else -1.0
        _times_(at.running, rates.retain)
        add_(at.running, value, sign * rates.step * rates.rate)
        return
    if simple and objective.kind == "l2" and at.anchor is at.running:
        _average(at.running, value, rates.retain, rates.step * rates.rate * objective.scale)
        return
    push = _push(memory, at, value, rates.rate)
    if at.momentum is not None:
        _times_(at.momentum, rates.momentum)
        add_(at.momentum, push)
        push = Cells(at.momentum)
    if memory.rule.direction == "newton_schulz":
        kind = push.tensors[0].dtype
        steps = memory.rule.direction_steps
        push = cells(orthogonal(push, steps, kind))
    _times_(at.running, rates.retain)
    add_(at.running, push, rates.step)


def _average(running: Tensors, value: Value, retain: float, weight: float) -> None:
    """Compute A ← (α − w) A + w v."""
    if retain == 1.0 and isinstance(value, Cells) and value.scale == 1.0:
        torch._foreach_lerp_(running, value.tensors, bounded(weight, running))
        return
    _times_(running, retain - weight)
    add_(running, value, weight)


def _times_(tensors: Tensors, factor: float) -> None:
    if factor == 0.0:
        torch._foreach_zero_(tensors)
    elif factor != 1.0:
        torch._foreach_mul_(tensors, bounded(factor, tensors))


def _push(memory: Memory, at: Buffers, value: Value, rate: float) -> Cells:
    """Return −η G, where the anchor is its own answer."""
    objective = memory.objective
    if objective.kind == "task":
        x = cells(value)
        return Cells(x.tensors, -rate * x.scale)
    if objective.kind == "dot":
        x = cells(value)
        return Cells(x.tensors, rate * objective.scale * x.scale)
    error = _error(at.anchor, value)  # v − Θ
    if objective.kind == "l2":
        return Cells(error, rate * objective.scale, owned=True)
    if objective.kind == "huber":
        delta = objective.delta.number if objective.delta is not None else None
        assert delta is not None, "another delta is refused"
        torch._foreach_clamp_max_(error, delta)
        torch._foreach_clamp_min_(error, -delta)
        return Cells(error, rate * objective.scale, owned=True)
    assert objective.p is not None
    signs = torch._foreach_sign(error)
    sizes = torch._foreach_pow(torch._foreach_abs(error), objective.p - 1)
    torch._foreach_mul_(sizes, list(signs))
    return Cells(list(sizes), rate * objective.scale * objective.p, owned=True)


def _error(anchor: Tensors, value: Value) -> Tensors:
    if isinstance(value, Square):
        error = [-x for x in anchor]
        add_(error, value)
        return error
    x = plain(value)
    return list(torch._foreach_sub(x.tensors, anchor))
