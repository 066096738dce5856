"""A memory whose state is a parameter of the outermost level: a plain net, head by head."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops.activations import ACTIVATIONS
from nestgraph.ops.heads import merge_heads, split_heads


def static_net(
    x_BTW: Tensor,
    weights: tuple[Tensor, ...],
    activation: str,
    *,
    residual: bool,
) -> Tensor:
    """The net's answer (B, T, H·E).

    Args:
        x_BTW: queries, heads side by side.
        weights: (H, out, in) for every layer, input side first.
        activation: name of the function between layers; see `nestgraph.ops.activations`.
        residual: whether the query is added to the answer.
    """
    heads, function = weights[0].shape[0], ACTIVATIONS[activation].value
    if heads == 1:
        y = _chain(x_BTW, weights, function, lambda x, w: F.linear(x, w[0]))
    else:
        split = split_heads(x_BTW, heads)
        y = merge_heads(_chain(split, weights, function, lambda x, w: x @ w.mT))
    return x_BTW + y if residual else y


def _chain(
    x: Tensor,
    weights: tuple[Tensor, ...],
    activation: Callable[[Tensor], Tensor],
    apply: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    for weight in weights[:-1]:
        x = activation(apply(x, weight))
    return apply(x, weights[-1])
