"""Rotary positions (Su et al. 2021, arXiv 2104.09864), halves paired.

Legend: B batch, T time, W width, d width of one head (even).
"""

from __future__ import annotations

import functools
from typing import Any

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
        (B, T, W). 3 FLOPs a channel, in two passes; the same backward.
    """
    runs = x_BTW.view(*x_BTW.shape[:2], heads, 2, -1)
    where, time, half = (x_BTW.device, x_BTW.dtype), x_BTW.shape[1], runs.shape[-1]
    cos, sin = _angles(where, start, time, half, base, period)
    turned: Tensor = _Turn.apply(runs, cos, sin)  # type: ignore[no-untyped-call]
    return turned.flatten(-3)


class _Turn(torch.autograd.Function):
    """Halves (B, T, H, 2, d/2) by angles (T, 1, d/2); the way back turns as far the other way."""

    @staticmethod
    def forward(ctx: Any, runs: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        turned = runs * cos.unsqueeze(-2)
        low, high = runs.unbind(-2)
        turned[..., 0, :].addcmul_(high, sin, value=-1)
        turned[..., 1, :].addcmul_(low, sin)
        return turned

    @staticmethod
    def backward(ctx: Any, d_turned: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _Turn.apply(d_turned, cos, -sin), None, None  # type: ignore[no-untyped-call]


@functools.lru_cache(maxsize=1)
def _angles(
    where: tuple[torch.device, torch.dtype],
    start: int,
    time: int,
    half: int,
    base: float,
    period: int,
) -> tuple[Tensor, Tensor]:
    """Return cos and sin (T, 1, d/2), made in float64: positions may be large.

    Queries and keys of all layers turn by the same angles, which take longer than the turning of
    a short piece.
    """
    device, dtype = where
    with torch.inference_mode(False):  # a later piece may learn
        positions = torch.arange(start, start + time, device=device)
        positions = positions % period if period else positions
        exponent = torch.arange(half, device=device, dtype=torch.float64) / half
        angle = positions[:, None, None] * base**-exponent
        return angle.cos().to(dtype), angle.sin().to(dtype)
