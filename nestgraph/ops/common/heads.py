"""Channels grouped by head: split, merge, reduce, copy, pick, decay.

Legend: B batch, T time, W = H·d width of a flow, H heads, d width of one head. A flow holds
its heads side by side. All of these are views or single passes over the flow.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nestgraph.ops.common.layout import runs


def split_heads(x_BTW: Tensor, heads: int) -> Tensor:
    """Return (B, T, H·d) to (B, H, T, d), a view."""
    return runs(x_BTW, heads).transpose(1, 2)


def merge_heads(x_BHTD: Tensor) -> Tensor:
    """Return (B, H, T, d) to (B, T, H·d)."""
    return x_BHTD.transpose(1, 2).flatten(2)


def mean(x_BTW: Tensor, heads: int = 1) -> Tensor:
    """Return the mean of each head's run: (B, T, H·d) to (B, T, H)."""
    return runs(x_BTW, heads).mean(-1)


def total(x_BTW: Tensor, heads: int = 1) -> Tensor:
    """Return the sum of each head's run: (B, T, H·d) to (B, T, H)."""
    return runs(x_BTW, heads).sum(-1)


def tile(x_BTW: Tensor, times: int) -> Tensor:
    """Return the whole vector, several times: (B, T, W) to (B, T, times·W)."""
    return x_BTW.repeat(1, 1, times)


def repeat_channels(x_BTW: Tensor, times: int | Sequence[int], heads: int = 1) -> Tensor:
    """Return each channel several times in a row.

    Args:
        x_BTW: (B, T, H·d).
        times: one count for all channels, or one for each channel of a head (d counts).
        heads: how many runs W is cut into.

    Returns:
        (B, T, times·W), or (B, T, H·sum(times)).
    """
    if isinstance(times, int):
        return x_BTW.repeat_interleave(times, -1)
    counts = torch.tensor(list(times), device=x_BTW.device)
    # The size is said beforehand: devices need not be asked for it, and `meta` can't tell.
    wide = runs(x_BTW, heads).repeat_interleave(counts, -1, output_size=sum(times))
    return wide.flatten(-2)


def slice_heads(x_BTW: Tensor, heads: int, start: int, size: int) -> Tensor:
    """Return channels start..start+size-1 of each head: (B, T, H·d) to (B, T, H·size)."""
    return runs(x_BTW, heads)[..., start : start + size].flatten(-2)


def decay(x_BTW: Tensor, a: Tensor, states: int = 0) -> Tensor:
    """Return exp(-exp(a) · x): a learned rate of forgetting a channel (Mamba-2, arXiv 2405.21060).

    Args:
        x_BTW: step sizes (B, T, W).
        a: log rates (W,), or (W·states,).
        states: 0, or how many rates each channel has.

    Returns:
        (B, T, W), or (B, T, W·states) with the rates of one channel side by side.
    """
    rate = a.exp()
    if states:
        return torch.exp(-(x_BTW.unsqueeze(-1) * rate.view(-1, states)).flatten(-2))
    return torch.exp(-(x_BTW * rate))


def polynomial(x_BTW: Tensor, coefficients_N: Tensor) -> Tensor:
    """Return Σ c_i x^i, channel by channel, by Horner's rule (feature map of arXiv 2505.23735).

    Args:
        x_BTW: (..., W).
        coefficients_N: c_0 .. c_degree.

    Returns:
        (..., W).
    """
    *rest, y = coefficients_N.unbind()
    total = y.expand_as(x_BTW)
    for coefficient in reversed(rest):
        total = coefficient + x_BTW * total
    return total
