"""One matrix under a segment of rank-one events: delta rule with decay, momentum and window.

    S_t = β_t S_{t-1} - Σ_{j counts at t} w_j a_jᵀ
    A_t = α_t A_{t-1} - Σ_{j new at t} ρ_j (A_{t-1} a_j) a_jᵀ + γ_t S_t

Unrolled, with b, P, c and D of `decay_matrix.py` and e_j = ρ_j A_{t-1} a_j what an event erases:

    A_t = b_t A_0 + c_t S_0 - Σ_j D_tj w_j a_jᵀ - Σ_j P_tj e_j a_jᵀ
    (I + L) e = ρ (b_prev A_0 a + c_prev S_0 a - (D_prev ∘ a aᵀ) w),  L = ρ (P_prev ∘ a aᵀ)

`_prev` means one token earlier. Where D = P and c = 0, e + w come from one solve:
(I + L)(e + w) = w + ρ b_prev A_0 a. That is the WY form of the (gated) delta rule (Yang et al.,
arXiv 2406.06484 and 2412.06464) with given keys and writes. Without erase there is no solve.

Legend: B batch, H heads, M stacked memories, T positions, J events, D input width, E output width
of a layer; N is 1 where all members share a tensor, else M. Shared inputs make one solve for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nestgraph.ops.common.triangular import unit_lower_inverse
from nestgraph.ops.history.decay_matrix import DecayMatrix, earlier


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Events of one matrix.

    Attributes:
        inputs: keys a, (B, H, N, J, D).
        writes: rate times gradient w, (B, H, M, J, E).
        erase: ρ of the new events, (B, H, N or 1, T·count or 1, 1), or None.
        still: what they erase of a part of the weights that retention leaves as it is,
            (B, H, M, T·count, E); None where A is all that there is.
    """

    inputs: Tensor
    writes: Tensor
    erase: Tensor | None
    still: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One matrix and its events, ready to be read or advanced.

    Attributes:
        weights: A_0, (B, H, M, E, D).
        speed: S_0, or None.
        transfer: what is left of the start and of events.
        inputs: a, (B, H, N, J, D).
        writes: w, or e + w where both fade alike, (B, H, M, J, E).
        erased: e of the new events where it isn't in the writes, else None.
    """

    weights: Tensor
    speed: Tensor | None
    transfer: DecayMatrix
    inputs: Tensor
    writes: Tensor
    erased: Tensor | None

    def read(self, x_BHNTD: Tensor, *, before: bool) -> Tensor:
        """Return x_t through A_t, or A_{t-1} if `before`; (B, H, M, T, E)."""
        shift, fades = earlier if before else _same, self.transfer
        y = x_BHNTD @ self.weights.mT
        if fades.start is not None:
            y = y * shift(fades.start, 1.0)
        if self.speed is not None and fades.speed_start is not None:
            y = y + shift(fades.speed_start, 0.0) * (x_BHNTD @ self.speed.mT)
        scores = x_BHNTD @ self.inputs.mT
        y = y - (scores * shift(fades.speed_events, 0.0)) @ self.writes
        if self.erased is not None:
            new = scores[..., -self.erased.shape[-2] :]
            y = y - (new * shift(fades.erasures, 0.0)) @ self.erased
        return y

    def sums(self, *, before: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return A_0, then what A_t, or A_{t-1} if `before`, is made of: start, events, writes,
        inputs.

        Without momentum; see `mirrored_reads.py`.
        """
        shift, fades = earlier if before else _same, self.transfer
        start, events = fades.start, shift(fades.speed_events, 0.0)
        start = (
            events.new_ones(1, 1, 1, events.shape[-2], 1) if start is None else shift(start, 1.0)
        )
        if self.erased is None:
            return self.weights, start, events, self.writes, self.inputs
        # Erased events count as writes of their own.
        erasures = shift(fades.erasures, 0.0)
        lead = torch.broadcast_shapes(events.shape[:-2], erasures.shape[:-2])
        both = (x.expand(*lead, *x.shape[-2:]) for x in (events, erasures))
        new = self.inputs[..., -self.erased.shape[-2] :, :]
        inputs = torch.cat((self.inputs, new), -2)
        writes = torch.cat((self.writes, self.erased), -2)
        return self.weights, start, torch.cat(tuple(both), -1), writes, inputs

    def states(self) -> Tensor:
        """Return A_1 .. A_T, (B, H, M, T, E, D); 2·J·E·D FLOPs a token."""
        fades = self.transfer
        moved = _outer_sums(fades.speed_events, self.writes, self.inputs)
        if self.erased is not None:
            new = self.inputs[..., -self.erased.shape[-2] :, :]
            moved = moved + _outer_sums(fades.erasures, self.erased, new)
        first = self.weights.unsqueeze(-3)
        if fades.start is not None:
            first = first * fades.start.unsqueeze(-1)
        if self.speed is not None and fades.speed_start is not None:
            first = first + fades.speed_start.unsqueeze(-1) * self.speed.unsqueeze(-3)
        return first - moved

    def advance(self) -> tuple[Tensor, Tensor | None]:
        """Return a and S after the last token."""
        fades = self.transfer
        moved = (self.writes * fades.speed_events[..., -1, :, None]).mT @ self.inputs
        if self.erased is not None:
            left = self.erased * fades.erasures[..., -1, :, None]
            moved = moved + left.mT @ self.inputs[..., -left.shape[-2] :, :]
        weights = self.weights
        if fades.start is not None:
            weights = weights * fades.start[..., -1:, :]
        weights = weights - moved
        if self.speed is None or fades.speed_start is None or fades.speed_end is None:
            return weights, None
        whole, events = fades.speed_end
        weights = weights + fades.speed_start[..., -1:, :] * self.speed
        return weights, whole * self.speed - (self.writes * events).mT @ self.inputs


def layer(weights: Tensor, speed: Tensor | None, pairs: Pairs, fades: DecayMatrix) -> Layer:
    """Solve for what the events erase.

    Args:
        weights: A_0, (B, H, M, E, D).
        speed: S_0, or None.
        pairs: the events.
        fades: what is left of them.

    Returns:
        The matrix with its events.
    """
    plain = Layer(
        weights=weights,
        speed=speed,
        transfer=fades,
        inputs=pairs.inputs,
        writes=pairs.writes,
        erased=None,
    )
    if pairs.erase is None:
        return plain
    new = pairs.inputs[..., -fades.events.shape[-1] * fades.count :, :]
    met = new @ weights.mT
    if fades.start is not None:
        met = met * fades.spread(earlier(fades.start, 1.0))
    if fades.is_joint:
        right = torch.addcmul(pairs.writes, pairs.erase, met)
        right = right if pairs.still is None else right + pairs.still
        whole = _solve(new, pairs.erase, fades, right)
        return replace(plain, writes=whole)
    if speed is not None and fades.speed_start is not None:
        met = met + fades.spread(earlier(fades.speed_start, 0.0)) * (new @ speed.mT)
    grams = (new @ pairs.inputs.mT) * fades.spread(earlier(fades.speed_events, 0.0))
    met = met - grams @ pairs.writes
    met = pairs.erase * met
    met = met if pairs.still is None else met + pairs.still
    return replace(plain, erased=_solve(new, pairs.erase, fades, met))


def _solve(inputs: Tensor, erase: Tensor, fades: DecayMatrix, right: Tensor) -> Tensor:
    """Return (I + L)^-1 right; events of one position see the same state."""
    if fades.events.shape[-1] == 1:
        return right
    grams = inputs @ inputs.mT
    lower = grams * fades.spread(earlier(fades.erasures, 0.0)) * erase
    return unit_lower_inverse(lower) @ right


def _outer_sums(left_TJ: Tensor, writes_BHMJE: Tensor, inputs_BHNJD: Tensor) -> Tensor:
    """Return Σ_j left[t, j] w_j a_jᵀ for every t, (B, H, M, T, E, D)."""
    pairs = writes_BHMJE.unsqueeze(-1) * inputs_BHNJD.unsqueeze(-2)
    return (left_TJ @ pairs.flatten(-2)).view(*pairs.shape[:-3], -1, *pairs.shape[-2:])


def _same(rows: Tensor, first: float) -> Tensor:
    return rows
