"""Writes and answers of `linear` and `mlp` memories over the rows of matrices.

Parameters of one shape are stacked; a matrix of a net is then (k, ..., out, in), keys are
(k, ..., rows, in) and values (k, ..., rows, out), where `...` are heads or nothing. A write of an
L-layer net on r rows takes about 6·r·Σ out·in FLOPs for each parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nestgraph.compiler.optimizers.writes import Rates
from nestgraph.language.system import Memory, Objective
from nestgraph.ops.common.activations import ACTIVATIONS
from nestgraph.ops.history.newton_schulz import FLOOR, quintic

Layers = Sequence[Tensor]


def answer(memory: Memory, layers: Layers, query: Tensor) -> Tensor:
    """Return what a net answers to each row: x + W_L σ(… σ(W_1 x))."""
    return _forward(memory, layers, query)[0]


def write(
    memory: Memory,
    running: Layers,
    anchor: Layers,
    momentum: Layers,
    keys: Tensor,
    values: Tensor,
    rates: Rates,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the running matrices and momenta after one write; `momentum` may be empty."""
    gradients = _gradients(memory, anchor, keys, values)
    new, pushes = [], []
    for layer, (a, gradient) in enumerate(zip(running, gradients, strict=True)):
        push = gradient.mul_(-rates.rate)
        if momentum:
            push = push.add_(momentum[layer], alpha=rates.momentum)
            pushes.append(push)
        direction = push
        if memory.rule.direction == "newton_schulz":
            norms = torch.linalg.matrix_norm(push, keepdim=True).clamp(min=FLOOR)
            direction = quintic(push / norms, memory.rule.direction_steps)
        moved = torch.add(rates.retain * a, direction, alpha=rates.step)
        if memory.rule.erase.where != "none":
            rate = rates.rate if rates.erase is None else rates.erase
            moved.sub_(a @ (keys.mT @ keys), alpha=rate)
        new.append(moved)
    return new, pushes


def descend_on_inputs(
    memory: Memory,
    weight: Tensor,
    momentum: Tensor | None,
    gradient: Tensor,
    gram: Tensor | None,
    rates: Rates,
) -> tuple[Tensor, Tensor | None]:
    """Return delta gradient descent on (k, out, in) weights that know the Gram matrix of their
    inputs.

    With A = XᵀX/n the exact joint step of Eq. 56 is W ← αW − (G + W A)(A + 1/η)⁻¹; it is solved
    as (ηG + ηWA)(1 + ηA)⁻¹, whose system stays well conditioned for small η.
    Without `implicit` W ← αW − ηG − ρWA.
    """
    push, erased = -rates.rate * gradient, torch.zeros_like(weight)
    if memory.rule.implicit:
        assert gram is not None, "the checks want keys"
        unit = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        system = unit + rates.rate * gram
        push = torch.linalg.solve(system, push, left=False)
        erased = torch.linalg.solve(system, rates.rate * (weight @ gram), left=False)
    elif memory.rule.erase.where != "none":
        assert gram is not None, "the checks want keys"
        erased = (weight @ gram) * (rates.rate if rates.erase is None else rates.erase)
    if momentum is not None:
        push = push + rates.momentum * momentum
    direction = push
    if memory.rule.direction == "newton_schulz":
        norms = torch.linalg.matrix_norm(push, keepdim=True).clamp(min=FLOOR)
        direction = quintic(push / norms, memory.rule.direction_steps)
    moved = rates.retain * weight - erased + rates.step * direction
    return moved, None if momentum is None else push


def _forward(
    memory: Memory, layers: Layers, keys: Tensor
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the answer, the input of each layer, and what each hidden layer's activation was
    given.
    """
    inputs, before = [keys], []
    for weight in layers[:-1]:
        before.append(inputs[-1] @ weight.mT)
        inputs.append(ACTIVATIONS[memory.net.activation].value(before[-1]))
    y = inputs[-1] @ layers[-1].mT
    return (keys + y if memory.net.residual else y), inputs, before


def _gradients(memory: Memory, layers: Layers, keys: Tensor, values: Tensor) -> list[Tensor]:
    answers, inputs, before = _forward(memory, layers, keys)
    slope = _slope(memory.objective, answers, values)
    found: list[Tensor] = []
    for layer in range(len(layers) - 1, -1, -1):
        found.append(slope.mT @ inputs[layer])
        if layer:
            times_slope = ACTIVATIONS[memory.net.activation].times_slope
            slope = times_slope(slope @ layers[layer], before[layer - 1], inputs[layer])
    return found[::-1]


def _slope(objective: Objective, answers: Tensor, values: Tensor) -> Tensor:
    """Return the derivative of the objective by the answers."""
    if objective.kind == "dot":
        return -objective.scale * values
    error = answers - values
    if objective.kind == "huber":
        delta = objective.delta.number if objective.delta is not None else None
        assert delta is not None, "another delta is refused"
        return objective.scale * error.clamp(-delta, delta)
    if objective.kind == "lp":
        assert objective.p is not None
        return objective.scale * objective.p * error.sign() * error.abs() ** (objective.p - 1)
    return objective.scale * error
