"""The small steps around a stack of memories: rates, members, commits, first states.

Legend: B batch, T time, H heads, M stacked memories, E value width of a head.
"""

from __future__ import annotations

from torch import Tensor


def coefficient(flow_BTH: Tensor, heads: int) -> Tensor:
    """Return a flow of width 1 or `heads` as a rate (B, H, T)."""
    return flow_BTH.transpose(1, 2).expand(-1, heads, -1)


def constant(values_H: Tensor, like_BHTE: Tensor) -> Tensor:
    """Return numbers, one or one a head, as a rate (B, H, T) for the events of `like`."""
    batch, heads, time = like_BHTE.shape[:3]
    return values_H.view(1, -1, 1).expand(batch, heads, time)


def implicit_rate(rate_BHT: Tensor, k_BHTD: Tensor) -> Tensor:
    """Return the rate of the proximal step, η / (1 + η |k|²) (arXiv 2512.24695, Eq. 57)."""
    return rate_BHT / (1 + rate_BHT * k_BHTD.square().sum(-1))


def members(weights: tuple[Tensor, ...], start: int, stop: int) -> tuple[Tensor, ...]:
    """Return members start..stop-1 of stacked weights (B, H, M, out, in)."""
    return tuple(weight[:, :, start:stop] for weight in weights)


def merge_members(y_BHMTE: Tensor) -> Tensor:
    """Return answers of stacked memories as one flow (B, T, M·H·E), member by member."""
    return y_BHMTE.permute(0, 3, 2, 1, 4).flatten(2)


def standing(weights_BHMED: Tensor, time: int) -> Tensor:
    """Return matrices as one flow that stands still for `time` tokens, (B, T, M·H·E·D)."""
    flow = weights_BHMED.transpose(1, 2).flatten(1)
    return flow.unsqueeze(1).expand(-1, time, -1)
