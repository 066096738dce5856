"""Coefficients of a segment, and how each layer uses them.

Legend: B batch, H heads, T positions, J events of the write (those in the window, then the new
ones), n numbers of a coefficient that isn't one a head; N is 1 where members share, else M.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nestgraph.ops.ttt.memory_config import MemoryConfig, Per


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Coefficients (B, H, T), or (B, H, T, n) where they are not one a head; None is the default.

    Attributes:
        rate: step size, inside the momentum; None is 1.
        retain: what a position keeps; None is 1.
        momentum: what the momentum keeps; None is 0.
        step: factor of the momentum on its way to the weights; None is 1.
        erase: None takes the memory's own (implicit) rate, or 1 with a key of its own.
        share: with `reduces`, how much what a period has moved so far counts.
        delta: of `huber`.
        written: (B, T), where the events of some positions are skipped: which are not.
    """

    rate: Tensor | None = None
    retain: Tensor | None = None
    momentum: Tensor | None = None
    step: Tensor | None = None
    erase: Tensor | None = None
    share: Tensor | None = None
    delta: Tensor | None = None
    written: Tensor | None = None

    def detached(self) -> Rates:
        """Return the same numbers, without a way back."""
        return Rates(**{k: None if v is None else v.detach() for k, v in vars(self).items()})


def by_event(x_BHT: Tensor, events: int) -> Tensor:
    """Return a position's number for each of its events: (B, H, T, ...) to (B, H, T·events,
    ...).
    """
    return x_BHT if events == 1 else x_BHT.repeat_interleave(events, 2)


def write_rate(
    config: MemoryConfig, layer: int, inputs_BHNJD: Tensor, rate_BHJ: Tensor | None
) -> Tensor | None:
    """Return the rate of each event at one layer, (B, H, N, J, 1) or (B, H, 1, J, n); None is 1."""
    if rate_BHJ is None and not config.implicit:
        return None
    if rate_BHJ is None:
        rate_BHJ = inputs_BHNJD.new_ones(1, 1, 1)
    rate = rate_BHJ.unsqueeze(-1) if rate_BHJ.dim() == 3 else rate_BHJ
    rate = rate.unsqueeze(2)
    if not config.implicit or layer >= config.layers:
        return rate
    return rate / (1 + rate * inputs_BHNJD.square().sum(-1, keepdim=True))


def erase_rate(
    config: MemoryConfig, rate: Tensor | None, rates: Rates, like_BHNJD: Tensor
) -> Tensor:
    """Return the rate at which new events erase, (B, H, N or 1, J, 1 or n); `rate` is the
    write's.
    """
    if rates.erase is not None:
        own = rates.erase if rates.erase.dim() == 4 else rates.erase.unsqueeze(-1)
        return by_event(own, 1 if config.erase_key else config.events).unsqueeze(2)
    if config.erase_key or rate is None:
        return like_BHNJD.new_ones(1, 1, 1, 1, 1)
    return rate[..., -like_BHNJD.shape[-2] :, :]


def spread(x_BHTn: Tensor, per: Per, rows: int, columns: int) -> Tensor:
    """Return a coefficient over a matrix: (B, H, 1, T, rows or 1, columns or 1)."""
    if x_BHTn.dim() == 3:
        return x_BHTn[:, :, None, :, None, None]
    x = x_BHTn.unsqueeze(2)
    if per == "value":
        return x.unsqueeze(-1)
    if per == "key":
        return x.unsqueeze(-2)
    cells: Tensor = x.unflatten(-1, (rows, columns))
    return cells


def mean_share(like_BHTE: Tensor, start: int, periods: tuple[int, ...]) -> Tensor:
    """Return 1 / (positions since the last tick), (B, H, T): what makes a period's sum a mean.

    Args:
        like_BHTE: any tensor of the segment.
        start: absolute index of its first position.
        periods: at whose ticks counting starts again.
    """
    batch, heads, time = like_BHTE.shape[:3]
    index = torch.arange(start, start + time, device=like_BHTE.device)
    since = index
    for period in periods:
        since = torch.minimum(since, index % period)
    return (1 / (since + 1).to(like_BHTE.dtype)).expand(batch, heads, time)
