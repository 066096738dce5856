"""What retention, momentum, step and window leave of each event at each later token.

With P[t, i] the product of α over i < s <= t, b[t] that of all α up to t, Q and q the same for
β, γ the step and K the band of a window (K[t, j] is 1 where event j counts at position t):

    A_t = b_t A_0 + c_t S_0 - Σ_j D_tj w_j a_jᵀ,    D = P γ Q K,   c = P γ q

Legend: B batch, H heads, T positions, J events: those that the window kept, then the new ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nestgraph.ops.delta_rule.decay import ratios
from nestgraph.ops.ttt.memory_config import MemoryConfig
from nestgraph.ops.ttt.rates import Rates


@dataclass(frozen=True, kw_only=True)
class DecayMatrix:
    """Weights of the start and of each event, (B or 1, H or 1, 1, T, ...).

    Attributes:
        whole_B1T: b as (B, H, T), or 1 if nothing decays.
        start: b, (..., T, 1); None if nothing decays.
        events: P, (..., T, T).
        speed_start: c, (..., T, 1); None without momentum.
        speed_events: D, (..., T, J).
        speed_end: (q_T, the last row of Q K): those of momentum alone; None without momentum.
        count: events at one position.
    """

    whole_B1T: Tensor
    start: Tensor | None
    events: Tensor
    speed_start: Tensor | None
    speed_events: Tensor
    speed_end: tuple[Tensor, Tensor] | None
    count: int

    @property
    def is_joint(self) -> bool:
        """Return whether what an event writes and what it erases fade alike, so that they may be
        added.
        """
        same = self.speed_events.shape[-1] == self.events.shape[-1] * self.count
        return self.speed_start is None and same

    def spread(self, x_T: Tensor) -> Tensor:
        """Return (..., T, n) as (..., T·count, n): a position's row for each of its events."""
        return x_T if self.count == 1 else x_T.repeat_interleave(self.count, -2)

    @property
    def erasures(self) -> Tensor:
        """P with a column for each new event, (..., T, T·count)."""
        return self.events if self.count == 1 else self.events.repeat_interleave(self.count, -1)


def transfer(config: MemoryConfig, rates: Rates, like_BHJD: Tensor, time: int) -> DecayMatrix:
    """Work out what is left of each event; all coefficients are one a head.

    Without momentum and window the step is left to the caller, who scales each write by it.
    """
    retain, momentum = rates.retain, rates.momentum
    ones = torch.ones(time, time, dtype=like_BHJD.dtype, device=like_BHJD.device).tril()
    if retain is None:
        events, whole, start = ones, like_BHJD.new_ones(1, 1, 1), None
    else:
        events, whole = ratios(retain, config.signed)
        events, start = events.unsqueeze(2), whole[:, :, None, :, None]
    if momentum is None and config.window == 1:
        fades = events if config.events == 1 else events.repeat_interleave(config.events, -1)
        return DecayMatrix(
            whole_B1T=whole,
            start=start,
            events=events,
            speed_start=None,
            speed_events=fades,
            speed_end=None,
            count=config.events,
        )
    pushes = events if rates.step is None else events * rates.step[:, :, None, None, :]
    if momentum is None:
        return DecayMatrix(
            whole_B1T=whole,
            start=start,
            events=events,
            speed_start=None,
            speed_events=pushes @ band(config, time, like_BHJD),
            speed_end=None,
            count=config.events,
        )
    speed, speeds = speeds_of(config, rates, like_BHJD, time)
    assert speed is not None
    return DecayMatrix(
        whole_B1T=whole,
        start=start,
        events=events,
        speed_start=pushes @ speed,
        speed_events=pushes @ speeds,
        speed_end=(speed[..., -1:, :], speeds[..., -1, :, None]),
        count=config.events,
    )


def speeds_of(
    config: MemoryConfig, rates: Rates, like_BHJD: Tensor, time: int
) -> tuple[Tensor | None, Tensor]:
    """Return what the momentum holds: q (B, H, 1, T, 1), None without momentum; Q K (..., T, J)."""
    if rates.momentum is None:
        return None, band(config, time, like_BHJD, rates.written)
    speeds, speed = ratios(rates.momentum, config.signed)
    speeds = speeds.unsqueeze(2)
    if config.window > 1 or config.events > 1:
        speeds = speeds @ band(config, time, like_BHJD, rates.written)
    return speed[:, :, None, :, None], speeds


def band(config: MemoryConfig, time: int, like: Tensor, written_BT: Tensor | None = None) -> Tensor:
    """Return K (T, J): 1 where an event lies within the last `window` positions.

    None counts at positions that are not written: (B, 1, 1, T, J) then.
    """
    position = torch.arange(time, device=like.device).unsqueeze(-1)
    columns = torch.arange(config.past + time * config.events, device=like.device)
    moment = torch.div(columns, config.events, rounding_mode="floor") - (config.window - 1)
    counts = (moment <= position) & (moment > position - config.window)
    if written_BT is not None:
        counts = counts & written_BT[:, None, None, :, None]
    return counts.to(like.dtype)


def earlier(rows: Tensor, first: float) -> Tensor:
    """Return rows along the second last axis, one token later; the first one is a constant."""
    head = rows.new_full((1,), first).expand(*rows.shape[:-2], 1, rows.shape[-1])
    return torch.cat((head, rows[..., :-1, :]), -2)
