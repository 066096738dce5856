"""Gradients of the objectives at a net's answer, which learning flows through.

Legend: B batch, H heads, M stacked memories, J events, E value width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.ops.ttt.memory_config import MemoryConfig


def slope(
    config: MemoryConfig, answer_BHMJE: Tensor, value_BHMJE: Tensor, delta_BHJ: Tensor | None
) -> Tensor:
    """Return ∂ objective / ∂ answer of every event by itself; values are constants.

    Args:
        config: says which objective; `dot` looks at the values alone.
        answer_BHMJE: what the net says.
        value_BHMJE: what it should say.
        delta_BHJ: where `huber` turns linear.

    Returns:
        (B, H, M, J, E).
    """
    if config.objective == "dot":
        return -config.scale * value_BHMJE
    miss = answer_BHMJE - value_BHMJE
    if config.objective == "l2":
        return config.scale * miss
    if config.objective == "lp":
        return _power(miss, config.power) * (config.scale * config.power)
    assert delta_BHJ is not None, "huber needs a delta"
    return config.scale * _huber(config, miss, delta_BHJ[:, :, None, :, None])


def _power(miss: Tensor, p: float) -> Tensor:
    """Return sign(r) |r|^(p-1), whose own slope at r = 0 is taken as 0 for every p."""
    nowhere = miss == 0
    size = torch.where(nowhere, 1.0, miss.abs())
    return torch.where(nowhere, 0.0, size.pow(p - 1) * miss.sign())


def _huber(config: MemoryConfig, miss: Tensor, delta: Tensor) -> Tensor:
    if config.switch == "norm":
        near = miss.square().sum(-1, keepdim=True) <= delta.square()
        return torch.where(near, miss, delta * miss.sign())
    return torch.where(miss.abs() <= delta, miss, delta * miss.sign())
