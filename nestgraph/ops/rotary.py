"""Rotary positions (Su et al. 2021, arXiv 2104.09864), halves paired.

Legend: B batch, T time, W width, d width of one head (even).
"""

from __future__ import annotations

import torch
from torch import Tensor


def rope(x_BTW: Tensor, start: int, heads: int = 1, base: float = 1e4, period: int = 0) -> Tensor:
    """Turn channels (i, i + d/2) of each head by the angle p · base^(-2i/d).

    Args:
        x_BTW: queries or keys (B, T, W); W / heads must be even.
        start: absolute index of x[:, 0], from 0.
        heads: how many runs W is cut into.
        base: the slowest pair turns about 1/base radians a position.
        period: positions restart after this many; 0 means never.

    Returns:
        (B, T, W). 3 FLOPs a channel.
    """
    runs = x_BTW.view(*x_BTW.shape[:2], heads, 2, -1)
    cos, sin = _angles(x_BTW, start, runs.shape[-1], base, period)
    low, high = runs.unbind(-2)
    return torch.stack((low * cos - high * sin, high * cos + low * sin), -2).flatten(-3)


def _angles(
    x_BTW: Tensor, start: int, half: int, base: float, period: int
) -> tuple[Tensor, Tensor]:
    """cos and sin (T, 1, d/2), made in float64: positions may be large."""
    positions = torch.arange(start, start + x_BTW.shape[1], device=x_BTW.device)
    positions = positions % period if period else positions
    exponent = torch.arange(half, device=x_BTW.device, dtype=torch.float64) / half
    angle = positions[:, None, None] * base**-exponent
    return angle.cos().to(x_BTW.dtype), angle.sin().to(x_BTW.dtype)
