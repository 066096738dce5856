"""The norm behind a memory's net, forward and brought back; gain and shift are slow parameters.

Legend: B batch, H heads, M stacked memories, J events or tokens, E value width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.ops.common.norms import EPS
from nestgraph.ops.ttt.memory_config import MemoryConfig

Slow = tuple[Tensor, ...]  # gain (H, M, E), and shift for `layer_norm`; empty without a norm


def normed(config: MemoryConfig, z_BHMJE: Tensor, slow: Slow) -> Tensor:
    """Return the last layer's output through the form's norm."""
    if config.norm == "none":
        return z_BHMJE
    unit, _ = _unit(config, z_BHMJE)
    y = unit * slow[0].unsqueeze(-2)
    return y + slow[1].unsqueeze(-2) if config.norm == "layer_norm" else y


def back(config: MemoryConfig, slope_BHMJE: Tensor, z_BHMJE: Tensor, slow: Slow) -> Tensor:
    """Return a gradient at the norm's output, brought to its input; learning flows through it.

    With u the unit and s the root: (g - mean(g) - u mean(g u)) / s, without mean(g) for `rms_norm`.
    """
    if config.norm == "none":
        return slope_BHMJE
    unit, root = _unit(config, z_BHMJE)
    g = slope_BHMJE * slow[0].unsqueeze(-2)
    along = unit * (g * unit).mean(-1, keepdim=True)
    if config.norm == "layer_norm":
        along = along + g.mean(-1, keepdim=True)
    return (g - along) / root


def _unit(config: MemoryConfig, z: Tensor) -> tuple[Tensor, Tensor]:
    if config.norm == "layer_norm":
        z = z - z.mean(-1, keepdim=True)
    root = torch.sqrt(z.square().mean(-1, keepdim=True) + EPS)
    return z / root, root
