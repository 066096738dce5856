"""How a sequence falls into chunks, and how coefficients are laid over a matrix."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Cut(NamedTuple):
    """How a sequence falls into chunks; the last one is filled with events that do nothing.

    Legend: B batch, H heads, T time; G = B·H groups, N chunks of C tokens.
    """

    batch: int
    heads: int
    time: int
    size: int

    def split(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """Return (B, H, T, ...) to (G, N, C, ...)."""
        missing = -self.time % self.size
        if missing:
            x = F.pad(x, [0, 0] * (x.dim() - 3) + [0, missing], value=fill)
        count = -(-self.time // self.size)
        return x.reshape(self.batch * self.heads, count, self.size, *x.shape[3:])

    def join(self, y_GNCE: Tensor) -> Tensor:
        """Return (G, N, C, E) to (B, H, T, E)."""
        y = y_GNCE.reshape(self.batch, self.heads, -1, y_GNCE.shape[-1])
        return y[:, :, : self.time]


def spread(value: Tensor | float, like_BHT: Tensor) -> Tensor:
    """Return a coefficient over the matrix of a head: (B, H, T, E or 1, D or 1).

    Args:
        value: a number, (H,), (B, H, T), by value (B, H, T, E), or by anything with five axes,
            of which the last two are 1 where it does not differ.
        like_BHT: a tensor whose first axes are (B, H, T), of the right type and device.

    Returns:
        A view with five axes.
    """
    if not isinstance(value, Tensor):
        value = like_BHT.new_tensor(value)
    if value.dim() <= 1:
        value = value.reshape(1, -1, 1)
    value = value[(...,) + (None,) * (5 - value.dim())]
    return value.expand(*like_BHT.shape[:3], -1, -1)
