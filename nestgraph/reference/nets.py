"""The functions that memories parametrise (§4), and their gradients at fixed weights.

Weights are one matrix a layer, input side first, each (batch, heads, out, in): every row of the
batch and every head has its own. Behind them stand the biases, (batch, heads, out), if the net
has any. Keys, queries and answers are (batch, heads, width). A `vector` is a matrix with one
column, asked with the key 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.language.system import Net, Objective
from nestgraph.reference.objectives import loss
from nestgraph.reference.ops import ACTIVATIONS, layer_norm, rms_norm

Matrices = tuple[Tensor, ...]


class Function(NamedTuple):
    """A net and what it has of slow parameters: gain and shift of its norm, (heads, d_v)."""

    net: Net
    norm: Mapping[str, Tensor]


class Forward(NamedTuple):
    """A net's answer, and a_ℓ: what each of its layers was given on the way."""

    answer: Tensor
    layer_inputs: tuple[Tensor, ...]


class Event(NamedTuple):
    """What a memory is to learn: a value under a key.

    Attributes:
        key: (batch, heads, d_k).
        value: (batch, heads, d_v); with `values: {self: v}` what the memory is asked for it.
        rate: η, a factor as in `coefficients`.
        delta: δ of a `huber` objective, (batch, heads).
    """

    key: Tensor
    value: Tensor
    rate: Tensor
    delta: Tensor | None


class Gradient(NamedTuple):
    """G and a_ℓ of §5: one slope a matrix or bias, one input a layer."""

    slopes: Matrices
    layer_inputs: tuple[Tensor, ...]


def is_matrix(tensor: Tensor) -> bool:
    """Return whether a part of a state is a matrix and no bias."""
    return tensor.ndim == 4


def forward(function: Function, weights: Matrices, x: Tensor) -> Forward:
    """Return the answer of a net: `linear` is W x; `mlp` is norm(W_L σ(… σ(W_1 x + b_1) …) + b_L),
    plus x with `residual`.

    With `gated` a hidden layer is σ(g) ⊙ v, the upper and the lower half of W_ℓ a + b_ℓ.
    """
    net = function.net
    count = net.layers if net.kind == "mlp" else 1
    matrices, biases = weights[:count], weights[count:]
    inputs, y = [x], x
    for layer, matrix in enumerate(matrices):
        y = apply(matrix, inputs[-1])
        if biases:
            y = y + biases[layer]
        if layer < count - 1:
            inputs.append(_hidden(net, y))
    y = _normed(function, y)
    return Forward(x + y if net.residual else y, tuple(inputs))


def _hidden(net: Net, y: Tensor) -> Tensor:
    if not net.gated:
        return ACTIVATIONS[net.activation](y)
    half = y.shape[-1] // 2
    return ACTIVATIONS[net.activation](y[..., :half]) * y[..., half:]


def _normed(function: Function, y: Tensor) -> Tensor:
    if function.net.norm == "none":
        return y
    gain = function.norm["gain"]  # one head's run is the whole of the last axis here
    if function.net.norm == "rms_norm":
        return rms_norm(y, gain)
    return layer_norm(y, gain, function.norm["shift"])


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return matrix times vector, in each row and head."""
    return (matrix @ vector[..., None])[..., 0]


def outer(left: Tensor, right: Tensor) -> Tensor:
    """Return left rightᵀ, in each row and head."""
    return left[..., :, None] * right[..., None, :]


def gradient(function: Function, objective: Objective, at: Matrices, event: Event) -> Gradient:
    """Return ∂ loss(net(W; key), value) / ∂W at the weights `at`, for each row and head by itself.

    One backward pass of the summed loss does that, since no row or head enters another's term.
    W is an alias of `at`: `value` may depend on `at` too and still counts as constant here, while
    an outer gradient follows the result through all of `at`, `key` and `value`.
    """
    differentiable = torch.is_grad_enabled()
    # Also under `no_grad` and `inference_mode`: learning in context is not training.
    with torch.inference_mode(False), torch.enable_grad():
        weights = tuple(_alias(w, differentiable).requires_grad_() for w in at)
        norm = {name: _alias(p, differentiable) for name, p in function.norm.items()}
        delta = None if event.delta is None else _alias(event.delta, differentiable)
        key, value = (_alias(x, differentiable) for x in (event.key, event.value))
        answer, inputs = forward(Function(function.net, norm), weights, key)
        total = loss(objective, answer, value, delta).sum()
        slopes = torch.autograd.grad(total, weights, create_graph=differentiable)
    if differentiable:
        return Gradient(slopes, inputs)
    return Gradient(slopes, tuple(x.detach() for x in inputs))


def _alias(x: Tensor, differentiable: bool) -> Tensor:
    return x.clone() if differentiable else x.detach().clone()
