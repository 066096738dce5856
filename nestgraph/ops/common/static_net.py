"""A memory whose state is a parameter of the outermost level: a plain net, head by head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops.common.activations import between
from nestgraph.ops.common.heads import merge_heads, split_heads
from nestgraph.ops.common.norms import layer_norm, rms_norm


def static_net(
    x_BTW: Tensor,
    weights: tuple[Tensor, ...],
    activation: str,
    *,
    residual: bool,
    gated: bool = False,
    biases: tuple[Tensor, ...] = (),
    norm: Literal["none", "layer_norm", "rms_norm"] = "none",
    slow: tuple[Tensor, ...] = (),
) -> Tensor:
    """Return the net's answer (B, T, H·E).

    Args:
        x_BTW: queries, heads side by side.
        weights: (H, out, in) for every layer, input side first.
        activation: name of the function between layers; see `nestgraph.ops.common.activations`.
        residual: whether the query is added to the answer.
        gated: whether a layer's upper rows gate its lower ones; `activations.between`.
        biases: (H, out) for every layer, or none at all.
        norm: what the last layer's output goes through, in each head.
        slow: its gain (H, E), and shift for `layer_norm`.
    """
    heads, function = weights[0].shape[0], between(activation, gated=gated)
    if heads == 1:
        vectors = [bias[0] for bias in biases]
        y = _chain(x_BTW, weights, vectors, function, lambda x, w: F.linear(x, w[0]))
    else:
        vectors = [bias.unsqueeze(1) for bias in biases]
        split = split_heads(x_BTW, heads)
        y = merge_heads(_chain(split, weights, vectors, function, lambda x, w: x @ w.mT))
    if norm == "layer_norm":
        y = layer_norm(y, slow[0].flatten(), slow[1].flatten(), heads)
    elif norm == "rms_norm":
        y = rms_norm(y, slow[0].flatten(), heads)
    return x_BTW + y if residual else y


def _chain(
    x: Tensor,
    weights: tuple[Tensor, ...],
    biases: list[Tensor],
    activation: Callable[[Tensor], Tensor],
    apply: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    for index, weight in enumerate(weights):
        x = apply(activation(x) if index else x, weight)
        x = x + biases[index] if biases else x
    return x
