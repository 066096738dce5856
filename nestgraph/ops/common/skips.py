"""Positions without a write: their events are skipped, by coefficients that leave all as it was.

At such a position nothing is added, nothing fades and nothing is erased, and a momentum neither
takes the gradient nor pushes on: rate, step and erase are 0, retention and momentum 1. The
position counts all the same: clocks tick, and a window moves on by a place that holds no event.

Legend: B batch, H heads, T positions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nestgraph.ops.ttt.memory_config import MemoryConfig
from nestgraph.ops.ttt.rates import Rates


def where_written(written_BT: Tensor, x: Tensor, otherwise: float) -> Tensor:
    """Return a coefficient (B, H, T, ...), and `otherwise` at skipped positions."""
    mask = written_BT[(slice(None), None, slice(None)) + (None,) * (x.dim() - 3)]
    return torch.where(mask, x, otherwise)


def skipping(
    config: MemoryConfig, rates: Rates, written_BT: Tensor, like_BHJD: Tensor
) -> tuple[MemoryConfig, Rates]:
    """Return what a stack of memories is and takes in over a segment some of whose events are
    skipped.

    Args:
        config: what the memories are.
        rates: the coefficients of the segment.
        written_BT: whether each position is written.
        like_BHJD: keys of the segment.
    """
    batch, heads = like_BHJD.shape[:2]
    ones = like_BHJD.new_ones(batch, heads, written_BT.shape[1])

    def off(x: Tensor | None) -> Tensor:
        return where_written(written_BT, ones if x is None else x, 0.0)

    def on(x: Tensor | None) -> Tensor | None:
        return None if x is None else where_written(written_BT, x, 1.0)

    own = rates.erase is not None or config.erase_key
    carries = config.momentum or config.window > 1  # else nothing but new events moves the weights
    skipped = replace(
        rates,
        rate=off(rates.rate),
        retain=on(rates.retain),
        momentum=on(rates.momentum),
        step=off(rates.step) if carries or rates.step is not None else None,
        erase=off(rates.erase) if own else None,
        written=written_BT,
    )
    return replace(config, stepped=config.stepped or carries), skipped
