"""The functions that memories parametrise (§4), and their gradients at fixed weights.

Weights are one matrix a layer, input side first, each (batch, heads, out, in): every row of the
batch and every head has its own. Keys, queries and answers are (batch, heads, width).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.reference.ops import ACTIVATIONS
from nestgraph.system import Net, Objective

Matrices = tuple[Tensor, ...]


class Forward(NamedTuple):
    """A net's answer, and a_ℓ: what each of its layers was given on the way."""

    answer: Tensor
    layer_inputs: tuple[Tensor, ...]


class Gradient(NamedTuple):
    """G_ℓ and a_ℓ of §5, one a layer."""

    matrices: Matrices
    layer_inputs: tuple[Tensor, ...]


def forward(net: Net, weights: Matrices, x: Tensor) -> Forward:
    """`linear` is W x; `mlp` is W_L σ(… σ(W_1 x)), plus x with `residual`."""
    inputs = [x]
    for weight in weights[:-1]:
        inputs.append(ACTIVATIONS[net.activation](apply(weight, inputs[-1])))
    y = apply(weights[-1], inputs[-1])
    return Forward(x + y if net.residual else y, tuple(inputs))


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector, in each row and head."""
    return (matrix @ vector[..., None])[..., 0]


def outer(left: Tensor, right: Tensor) -> Tensor:
    """left rightᵀ, in each row and head."""
    return left[..., :, None] * right[..., None, :]


def loss(objective: Objective, answer: Tensor, value: Tensor) -> Tensor:
    """The declared objective of one event: −⟨answer, value⟩, or half the squared distance."""
    if objective.kind == "dot":
        return -objective.scale * (answer * value).sum(-1)
    return objective.scale * 0.5 * (answer - value).square().sum(-1)


def gradient(net: Net, objective: Objective, at: Matrices, key: Tensor, value: Tensor) -> Gradient:
    """∂ loss(net(W; key), value) / ∂W at the weights `at`, for each row and head by itself.

    One backward pass of the summed loss does that, since no row or head enters another's term.
    W is an alias of `at`: `value` may depend on `at` too and still counts as constant here, while
    an outer gradient follows the result through all of `at`, `key` and `value`.
    """
    differentiable = torch.is_grad_enabled()
    # Also under `no_grad` and `inference_mode`: learning in context is not training.
    with torch.inference_mode(False), torch.enable_grad():
        weights = tuple(_alias(w, differentiable).requires_grad_() for w in at)
        answer, inputs = forward(net, weights, _alias(key, differentiable))
        total = loss(objective, answer, _alias(value, differentiable)).sum()
        matrices = torch.autograd.grad(total, weights, create_graph=differentiable)
    if differentiable:
        return Gradient(matrices, inputs)
    return Gradient(matrices, tuple(x.detach() for x in inputs))


def _alias(x: Tensor, differentiable: bool) -> Tensor:
    return x.clone() if differentiable else x.detach().clone()
