"""One matrix under a segment of rank-one events: delta rule with decay and momentum.

    S_t = β_t S_{t-1} - w_t a_tᵀ
    A_t = α_t A_{t-1} - ρ_t (A_{t-1} a_t) a_tᵀ + S_t

Unrolled, with P[t, i] the product of α over i < s <= t, b[t] that of all α up to t, Q and q the
same for β, D = P Q, c = P q, and e_t = ρ_t A_{t-1} a_t what an event erases:

    A_t = b_t A_0 + c_t S_0 - Σ_{i<=t} (P_ti e_i + D_ti w_i) a_iᵀ
    (I + L) e = ρ (b_prev A_0 a + c_prev S_0 a - (D_prev ∘ a aᵀ) w),  L = ρ (P_prev ∘ a aᵀ)

`_prev` means one token earlier. Without momentum D = P and c = 0, so e + w come from one solve:
(I + L)(e + w) = w + ρ b_prev A_0 a. That is the WY form of the (gated) delta rule (Yang et al.,
arXiv 2406.06484 and 2412.06464) with given keys and writes. Without erase there is no solve.

Legend: B batch, H heads, M stacked memories, T tokens, D input width, E output width of a layer;
N is 1 where all members share a tensor, else M. Shared inputs make one solve for all members.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nestgraph.ops.decay import ratios
from nestgraph.ops.triangular import unit_lower_inverse


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Events of one matrix.

    Attributes:
        inputs: keys a, (B, H, N, T, D).
        writes: rate times gradient w, (B, H, M, T, E).
        erase: ρ (B, H, N or 1, T, 1), or None.
    """

    inputs: Tensor
    writes: Tensor
    erase: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What is left at token t of the start and of each event, (B or 1, H or 1, 1, T, ...).

    Attributes:
        whole_B1T: b as (B, H, T), or 1 if nothing decays.
        start: b, (..., T, 1); None if nothing decays.
        events: P, (..., T, T).
        speed_start: c; None without momentum.
        speed_events: D; equals `events` without momentum.
        speed_end: (q_T, Q_T): the last rows of momentum alone; None without momentum.
    """

    whole_B1T: Tensor
    start: Tensor | None
    events: Tensor
    speed_start: Tensor | None
    speed_events: Tensor
    speed_end: tuple[Tensor, Tensor] | None


def transfer(
    k_BHTD: Tensor, retain_BHT: Tensor | None, momentum_BHT: Tensor | None, *, signed: bool
) -> Transfer:
    """Work out what retention and momentum leave of each event."""
    time = k_BHTD.shape[2]
    if retain_BHT is None:
        events = torch.ones(time, time, dtype=k_BHTD.dtype, device=k_BHTD.device).tril()
        whole, start = k_BHTD.new_ones(1, 1, 1), None
    else:
        events, whole = ratios(retain_BHT, signed)
        events, start = events.unsqueeze(2), whole[:, :, None, :, None]
    if momentum_BHT is None:
        return Transfer(
            whole_B1T=whole,
            start=start,
            events=events,
            speed_start=None,
            speed_events=events,
            speed_end=None,
        )
    speeds, speed = ratios(momentum_BHT, signed)
    speeds, speed = speeds.unsqueeze(2), speed[:, :, None, :, None]
    return Transfer(
        whole_B1T=whole,
        start=start,
        events=events,
        speed_start=events @ speed,
        speed_events=events @ speeds,
        speed_end=(speed[..., -1:, :], speeds[..., -1, :, None]),
    )


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One matrix and its events, ready to be read or advanced.

    Attributes:
        weights: A_0, (B, H, M, E, D).
        speed: S_0, or None.
        inputs: a, (B, H, N, T, D).
        writes: w with momentum, else e + w, (B, H, M, T, E).
        erased: e with momentum and erase, else None.
    """

    weights: Tensor
    speed: Tensor | None
    inputs: Tensor
    writes: Tensor
    erased: Tensor | None

    def read(self, x_BHNTD: Tensor, transfer: Transfer, *, before: bool) -> Tensor:
        """x_t through A_t, or A_{t-1} if `before`; (B, H, M, T, E)."""
        shift = earlier if before else _same
        y = x_BHNTD @ self.weights.mT
        if transfer.start is not None:
            y = y * shift(transfer.start, 1.0)
        if self.speed is not None and transfer.speed_start is not None:
            y = y + shift(transfer.speed_start, 0.0) * (x_BHNTD @ self.speed.mT)
        scores = x_BHNTD @ self.inputs.mT
        y = y - (scores * shift(transfer.speed_events, 0.0)) @ self.writes
        if self.erased is not None:
            y = y - (scores * shift(transfer.events, 0.0)) @ self.erased
        return y

    def advance(self, transfer: Transfer) -> tuple[Tensor, Tensor | None]:
        """A and S after the last token."""
        moved = self.writes * transfer.speed_events[..., -1, :, None]
        if self.erased is not None:
            moved = moved + self.erased * transfer.events[..., -1, :, None]
        weights = self.weights
        if transfer.start is not None:
            weights = weights * transfer.start[..., -1:, :]
        weights = weights - moved.mT @ self.inputs
        if self.speed is None or transfer.speed_start is None or transfer.speed_end is None:
            return weights, None
        whole, events = transfer.speed_end
        weights = weights + transfer.speed_start[..., -1:, :] * self.speed
        return weights, whole * self.speed - (self.writes * events).mT @ self.inputs


def layer(weights: Tensor, speed: Tensor | None, pairs: Pairs, transfer: Transfer) -> Layer:
    """Solve for what the events erase.

    Args:
        weights: A_0, (B, H, M, E, D).
        speed: S_0, or None.
        pairs: the events.
        transfer: what retention and momentum leave of them.

    Returns:
        The matrix with its events.
    """
    plain = Layer(
        weights=weights, speed=speed, inputs=pairs.inputs, writes=pairs.writes, erased=None
    )
    if pairs.erase is None:
        return plain
    met = pairs.inputs @ weights.mT
    if transfer.start is not None:
        met = met * earlier(transfer.start, 1.0)
    if speed is None or transfer.speed_start is None:
        whole = _solve(pairs, transfer, torch.addcmul(pairs.writes, pairs.erase, met))
        return replace(plain, writes=whole)
    met = met + earlier(transfer.speed_start, 0.0) * (pairs.inputs @ speed.mT)
    grams = pairs.inputs @ pairs.inputs.mT
    met = met - (grams * earlier(transfer.speed_events, 0.0)) @ pairs.writes
    return replace(plain, erased=_solve(pairs, transfer, pairs.erase * met))


def _solve(pairs: Pairs, transfer: Transfer, right: Tensor) -> Tensor:
    """(I + L)^-1 right."""
    if pairs.inputs.shape[-2] == 1:
        return right
    assert pairs.erase is not None
    grams = pairs.inputs @ pairs.inputs.mT
    lower = grams * earlier(transfer.events, 0.0) * pairs.erase
    return unit_lower_inverse(lower) @ right


def earlier(rows: Tensor, first: float) -> Tensor:
    """Rows along the second last axis, one token later; the first one is a constant."""
    head = rows.new_full((1,), first).expand(*rows.shape[:-2], 1, rows.shape[-1])
    return torch.cat((head, rows[..., :-1, :]), -2)


def _same(rows: Tensor, first: float) -> Tensor:
    return rows
