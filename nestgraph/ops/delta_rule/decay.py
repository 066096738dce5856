"""Products of retentions between any two positions of a segment.

Legend: B batch, H heads, C positions of a segment.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ratios(alpha_BHC: Tensor, signed: bool = False) -> tuple[Tensor, Tensor]:
    """Return how much of position i is left at position t, and of the start.

    Positive factors go through the running sum of their logarithms: 3 passes over (C, C), and
    stable, because only differences of logs that are at most what really decays are exponentiated.
    Factors that may be zero or negative take the exact product instead.

    Args:
        alpha_BHC: retention of each position, (..., C).
        signed: whether factors may be zero or negative.

    Returns:
        P (..., C, C): P[t, i] = prod of alpha_s over i < s <= t for t >= i (1 on the diagonal),
        else 0; and b (..., C): b[t] = prod of alpha_s over s <= t.
    """
    size = alpha_BHC.shape[-1]
    lower = torch.ones(size, size, dtype=torch.bool, device=alpha_BHC.device).tril()
    if signed:
        later = torch.where(lower.tril(-1), alpha_BHC.unsqueeze(-1), 1.0)
        return later.cumprod(-2) * lower, alpha_BHC.cumprod(-1)
    log = alpha_BHC.clamp_min(torch.finfo(alpha_BHC.dtype).tiny).log().cumsum(-1)
    gap = log.unsqueeze(-1) - log.unsqueeze(-2)
    return gap.masked_fill(~lower, -torch.inf).exp(), log.exp()
