"""Maps from a memory's state to its weights (Miras, arXiv 2504.13173): mirror descent.

Legend: E rows and D columns of one head's matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.ops.ttt.memory_config import MemoryConfig

EPS = 1e-12  # added to the sum of powers: a zero matrix maps to zero


def mirrored(config: MemoryConfig, weights: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return every matrix through the map; biases as they are."""
    if config.mirror == "none":
        return weights
    maps = [mirror(config, weight) for weight in weights[: config.layers]]
    return (*maps, *weights[config.layers :])


def mirror(config: MemoryConfig, state_ED: Tensor) -> Tensor:
    """Return one matrix (..., E, D) through the map.

    `softmax`: every row a distribution over its inputs (KL retention). `lq`: A over
    (Σ|A|^q)^((q-2)/q), the sum over the whole matrix.
    """
    if config.mirror == "softmax":
        return torch.softmax(state_ED, -1)
    q = config.mirror_power
    total = state_ED.abs().pow(q).sum((-2, -1), keepdim=True) + EPS
    return state_ED / total.pow((q - 2) / q)
