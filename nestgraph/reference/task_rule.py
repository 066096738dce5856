"""The rule of an online memory (§8): one event a period, the gradient of the period's loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nestgraph.analysis.parameters import TRAINED, state_shapes
from nestgraph.language.system import Coefficient, Memory
from nestgraph.reference.direction import direction
from nestgraph.reference.nets import Function, Matrices, forward, outer
from nestgraph.reference.state import Learned


def moved(memory: Memory, old: Learned, slopes: Matrices, flows: Mapping[str, Tensor]) -> Learned:
    """Return the state behind a tick.

    S ← β S − η G,  A = α Θ − ρ Θ K + γ D(S),  θ = Θ + c (A − Θ).

    Args:
        memory: whose rule it is.
        old: its state before.
        slopes: G, one for each matrix and bias.
        flows: values of the flows that its coefficients name, at the last position of the period.
    """
    rule = memory.rule

    def factor(coefficient: Coefficient, like: Tensor) -> Tensor:
        """Return (batch or 1, heads or 1, 1, ...)."""
        numbers = coefficient.numbers or (coefficient.number,)
        flow = coefficient.flow
        rates = like.new_tensor([numbers]) if flow is None else flows[flow]
        return rates.reshape(*rates.shape, *[1] * (like.ndim - 2))

    weights, momentum = [], []
    for part, (slope, start) in enumerate(zip(slopes, old.anchor, strict=True)):
        push = -factor(rule.rate, slope) * slope
        if old.momentum:
            push = factor(rule.momentum, slope) * old.momentum[part] + push
        step = factor(rule.step, slope) * direction(rule, push)
        there = factor(rule.retain, slope) * start + step
        if part < len(old.grams):
            own = rule.erase.rate
            there = there - factor(rule.rate if own is None else own, slope) * (
                start @ old.grams[part]
            )
        weights.append(start + _share(memory, flows, slope) * (there - start))
        momentum.append(push)
    new = tuple(weights)
    return old._replace(
        running=new,
        anchor=new,
        momentum=tuple(momentum) if old.momentum else (),
        grams=tuple(map(torch.zeros_like, old.grams)),
    )


def asked(
    memory: Memory,
    function: Function,
    state: Learned,
    query: Tensor,
    written: Tensor | None = None,
) -> Learned:
    """Return the state with one query more, (batch, heads, d_k), among what its layers were given.

    Rows whose `written` (batch,) is false are left out.
    """
    inputs = forward(function, state.anchor, query).layer_inputs[: len(state.grams)]
    if memory.gradient != "full":  # nothing of a move is differentiated
        inputs = tuple(a.detach() for a in inputs)
    if written is not None:
        inputs = tuple(a * written[:, None, None] for a in inputs)
    pairs = zip(state.grams, inputs, strict=True)
    return state._replace(grams=tuple(gram + outer(a, a) for gram, a in pairs))


def start(memory: Memory, drawn: Mapping[str, Tensor], like: Matrices) -> Matrices:
    """Return where a memory starts that starts as no other: (batch, heads, ...) for each part."""
    kind = memory.init.kind
    parts: list[Tensor] = []
    for shape, now in zip(state_shapes(memory), like, strict=True):
        if kind in (*TRAINED, "fixed"):
            part = drawn[shape.name]
        elif kind == "identity" and shape.is_matrix:
            part = torch.eye(*shape.shape[-2:], dtype=now.dtype, device=now.device)
        else:
            part = now.new_zeros(())
        parts.append(part.expand(now.shape).clone())
    return tuple(parts)


def _share(memory: Memory, flows: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Return c: 1, or 1 over the period, or the flow."""
    rule = memory.rule
    if rule.reduce_is_flow:
        share = flows[rule.reduce]
        return share.reshape(*share.shape, *[1] * (like.ndim - 2))
    return like.new_tensor(1.0 if rule.reduce == "sum" else 1 / memory.level.period)
