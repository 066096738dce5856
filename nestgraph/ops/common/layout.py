"""Axes: runs of channels, and stacked memories as one batch of matrices, members outermost.

Legend: B batch, H heads, M stacked memories, G = M·B·H, T tokens, W = H·d, D and E widths.
"""

from __future__ import annotations

from torch import Tensor


def runs(x: Tensor, heads: int) -> Tensor:
    """Return (..., H·d) as (..., H, d), a view."""
    return x.view(*x.shape[:-1], heads, -1)


def outermost(x_BHMED: Tensor) -> Tensor:
    """Return (B, H, M, E, D) as contiguous (G, E, D); a view of what `innermost` gave."""
    return x_BHMED.permute(2, 0, 1, 3, 4).flatten(0, 2).contiguous()


def innermost(x_GED: Tensor, batch: int, heads: int) -> Tensor:
    """Return (G, E, D) as (B, H, M, E, D), a view."""
    return x_GED.view(-1, batch, heads, *x_GED.shape[1:]).permute(1, 2, 0, 3, 4)


def rows_of(k_BHTD: Tensor, own_BHTD: Tensor | None, members: int) -> Tensor:
    """Return keys, and self values below them, once for every member: (G, R, D) with R = T or
    2T.
    """
    batch, heads, time, width = k_BHTD.shape
    rows = time if own_BHTD is None else 2 * time
    x = k_BHTD.new_empty(members, batch, heads, rows, width)
    x[..., :time, :] = k_BHTD
    if own_BHTD is not None:
        x[..., time:, :] = own_BHTD
    return x.flatten(0, 2)
