"""One matrix whose steps are directions of its momentum, with coefficients one a head.

    S_t = q_t S_0 - Σ_j (Q K)_tj w_j a_jᵀ
    A_t = b_t A_0 + Σ_s P_ts γ_s D(S_s)

with b, P, q, Q and K of `decay_matrix.py`, w_j = rate_j d_j, and D Newton-Schulz (Atlas, arXiv
2505.23735). Nothing is erased, so that S doesn't depend on A and the D(S_s) of a segment are one
batch (`directions.py`). They are the only matrices written out: A_t is never made, and a read
asks every D(S_s) with s ≤ t, which costs T times the FLOPs of one matrix where an iteration of
Newton-Schulz costs three times E.

Legend: B batch, H heads, M stacked memories, T positions, J events, D input width, E output width
of a layer; N is 1 where all members share a tensor, else M.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nestgraph.ops.history.decay_matrix import earlier
from nestgraph.ops.history.directions import directions


@dataclass(frozen=True, kw_only=True)
class Orthogonalized:
    """A matrix with the direction of its momentum at every token.

    Attributes:
        weights: A_0, (B, H, M, E, D).
        steps: D(S_1) .. D(S_T), (B, H, M, T, E, D).
        total: Σ_s P_Ts γ_s D(S_s), (B, H, M, E, D).
        start: b, (B, H, 1, T, 1); None if nothing decays.
        left: P γ, (B or 1, H or 1, 1, T, T).
        speed: S_T, or None without momentum.
    """

    weights: Tensor
    steps: Tensor
    total: Tensor
    start: Tensor | None
    left: Tensor
    speed: Tensor | None

    def states(self) -> Tensor:
        """Return A_1 .. A_T, (B, H, M, T, E, D)."""
        first = self.weights.unsqueeze(-3)
        if self.start is not None:
            first = first * self.start.unsqueeze(-1)
        return first + (self.left @ self.steps.flatten(-2)).view_as(self.steps)

    def read(self, x_BHNTD: Tensor, *, before: bool) -> Tensor:
        """Return x_t through A_t, or A_{t-1} if `before`; (B, H, M, T, E)."""
        start, left = self.start, self.left
        if before:
            left = earlier(left, 0.0)
            start = None if start is None else earlier(start, 1.0)
        y = x_BHNTD @ self.weights.mT
        y = y if start is None else y * start
        # Every direction (rows s, e) asked by every token (columns t).
        asked = self.steps.flatten(-3, -2) @ x_BHNTD.mT
        asked = asked.unflatten(-2, self.steps.shape[-3:-1])
        moved: Tensor = (asked * left.mT.unsqueeze(-2)).sum(-3).mT
        return y + moved

    def advance(self) -> tuple[Tensor, Tensor | None]:
        """Return a and S after the last token."""
        if self.start is None:
            return self.weights + self.total, self.speed
        return torch.addcmul(self.total, self.weights, self.start[..., -1:, :]), self.speed


def orthogonalized_layer(
    weights: Tensor,
    speed: Tensor | None,
    inputs_BHNJD: Tensor,
    writes_BHMJE: Tensor,
    fades: tuple[Tensor | None, Tensor],
    speeds: tuple[Tensor | None, Tensor],
    rounds: int,
) -> Orthogonalized:
    """Work out the directions.

    Args:
        weights: A_0, (B, H, M, E, D).
        speed: S_0, or None without momentum.
        inputs_BHNJD: a.
        writes_BHMJE: w.
        fades: b and P γ, what is left of the start and of each step.
        speeds: q and Q K, what the momentum holds.
        rounds: iterations of Newton-Schulz.

    Returns:
        The matrix with its directions.
    """
    start, left = fades
    end = left[..., -1, :]
    steps, total, last = directions(speed, writes_BHMJE, inputs_BHNJD, *speeds, end, rounds)
    return Orthogonalized(
        weights=weights,
        steps=steps,
        total=total,
        start=start,
        left=left,
        speed=None if speed is None else last,
    )
