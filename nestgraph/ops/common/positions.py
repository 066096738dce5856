"""Where a token stands: 1, 2, 3, ...; and a learned table over it.

Legend: B batch, T time, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def position(x_BTW: Tensor, start: int, period: int = 0) -> Tensor:
    """Return the position of each token as a flow of width 1.

    Args:
        x_BTW: a flow whose batch, time and dtype are taken; of 16 bits, which count to 256 or
            2,048 only, float32 is taken.
        start: absolute index of x[:, 0], from 0.
        period: positions restart at 1 after this many; 0 means never.

    Returns:
        (B, T, 1).
    """
    batch, time = x_BTW.shape[:2]
    index = torch.arange(start, start + time, device=x_BTW.device)
    index = index % period if period else index
    dtype = torch.promote_types(x_BTW.dtype, torch.float32)
    return (index + 1).to(dtype).view(1, time, 1).expand(batch, time, 1)


def lookup(position_BT1: Tensor, table_N: Tensor) -> Tensor:
    """Return the table's entry at a position, counted from 1; positions beyond it take the last
    one.

    Args:
        position_BT1: (B, T, 1).
        table_N: (N,).

    Returns:
        (B, T, 1).
    """
    index = position_BT1.long().clamp(1, table_N.shape[0]) - 1
    return table_N[index]
