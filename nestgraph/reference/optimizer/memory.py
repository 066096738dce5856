"""Memories of an optimizer: the first state, one write, one answer.

Every state is a tuple of tensors, one a layer; a `vector` is its own answer. The rows of keys and
values are the events of one step, and their gradients and erasures add up. The parameter is fed
by a mean over its inputs, since its gradient is one (`docs/optimizers.md`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nestgraph.analysis.parameters import ParameterSpec, hidden_width
from nestgraph.language.system import Memory, Net
from nestgraph.reference.ops import ACTIVATIONS
from nestgraph.reference.optimizer.ops import newton_schulz
from nestgraph.runtime.weights import draw

Layers = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What a memory remembers.

    Attributes:
        running: A.
        anchor: Θ.
        momentum: S.
        wrote: whether the last step wrote it.
        committed: whether the last step moved its anchor.
    """

    running: Layers
    anchor: Layers
    momentum: Layers
    wrote: bool = False
    committed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """The coefficients of one write."""

    rate: float
    retain: float
    momentum: float
    step: float
    erase: float | None


def first(memory: Memory, shapes: tuple[tuple[int, ...], ...], name: str, seed: int) -> State:
    """Return the state before the first step, as `init` says.

    Args:
        memory: whose state it is.
        shapes: of its layers.
        name: of the parameter, which numbers that are drawn depend on.
        seed: likewise.
    """
    layers = tuple(
        _first(memory, shape, f"{name}/{memory.name}.W{layer}", seed)
        for layer, shape in enumerate(shapes)
    )
    return State(running=layers, anchor=layers, momentum=tuple(torch.zeros_like(w) for w in layers))


def _first(memory: Memory, shape: tuple[int, ...], name: str, seed: int) -> Tensor:
    zeros = torch.zeros(shape, dtype=torch.float64)
    if memory.init.kind == "identity":
        return torch.eye(*shape[-2:], dtype=torch.float64) + zeros
    if memory.init.kind != "fixed":
        return zeros
    std = 1 / math.sqrt(shape[-1]) if memory.init.std is None else memory.init.std
    return draw(ParameterSpec(name=name, shape=shape, init="normal", std=std), seed)


def layer_shapes(net: Net, keys: int, values: int) -> tuple[tuple[int, ...], ...]:
    """Return the matrices of a net whose events are `keys` and `values` wide."""
    if net.kind == "linear":
        return ((values, keys),)
    inner = [hidden_width(net, keys)] * (net.layers - 1)
    widths = [keys, *inner, values]
    return tuple((out, into) for into, out in itertools.pairwise(widths))


def answer(memory: Memory, layers: Layers, query: Tensor | None) -> Tensor:
    """Return what a memory answers to each row of a query; its one matrix without a query."""
    if query is None:
        return layers[0]
    x = query
    for weight in layers[:-1]:
        x = ACTIVATIONS[memory.net.activation](x @ weight.mT)
    x = x @ layers[-1].mT
    return query + x if memory.net.residual else x


def loss(memory: Memory, answers: Tensor, values: Tensor) -> Tensor:
    """Return the declared objective, summed over events and channels."""
    objective = memory.objective
    if objective.kind == "dot":
        return -objective.scale * (answers * values).sum()
    error = answers - values
    if objective.kind == "l2":
        return objective.scale * 0.5 * error.square().sum()
    if objective.kind == "lp":
        assert objective.p is not None
        return objective.scale * (error.abs() ** objective.p).sum()
    delta = objective.delta.number if objective.delta is not None else None
    assert delta is not None, "another delta is refused"
    inside = 0.5 * error.square()
    outside = delta * (error.abs() - delta / 2)
    return objective.scale * torch.where(error.abs() <= delta, inside, outside).sum()


def inner_gradient(memory: Memory, state: State, keys: Tensor | None, values: Tensor) -> Layers:
    """Return the gradient of the objective at the anchor, by autograd."""
    with torch.enable_grad():
        weights = tuple(w.detach().clone().requires_grad_() for w in state.anchor)
        total = loss(memory, answer(memory, weights, keys), values)
        return torch.autograd.grad(total, weights)


def write(
    memory: Memory, state: State, gradients: Layers, rates: Rates, gram: Tensor | None
) -> State:
    """Return S ← β S − r G;  A ← α A − E + γ D(S).

    Args:
        memory: what is written.
        state: before the write.
        gradients: one a layer.
        rates: the coefficients of this step.
        gram: Σ a aᵀ over the events of a `linear` net (their mean for the parameter), for
            `erase` and `implicit`.
    """
    running: list[Tensor] = []
    momentum: list[Tensor] = []
    for a, s, gradient in zip(state.running, state.momentum, gradients, strict=True):
        push = -rates.rate * gradient
        erased = torch.zeros_like(a)
        if memory.rule.implicit:
            assert gram is not None
            # All events at once: W − η(G + W A)(1 + ηA)⁻¹, where A is the Gram matrix.
            unit = torch.eye(len(gram), dtype=gram.dtype)
            solve = rates.rate * torch.linalg.inv(unit + rates.rate * gram)
            push = -gradient @ solve
            erased = a @ gram @ solve
        elif memory.rule.erase.where != "none":
            assert gram is not None
            erased = (rates.rate if rates.erase is None else rates.erase) * a @ gram
        s = rates.momentum * s + push
        direction = s
        if memory.rule.direction == "newton_schulz":
            direction = newton_schulz(s, memory.rule.direction_steps)
        running.append(rates.retain * a - erased + rates.step * direction)
        momentum.append(s)
    return replace(state, running=tuple(running), momentum=tuple(momentum), wrote=True)
