"""Retention towards where a memory started: what moves is counted from there.

With the first weights Θ₀, V = A - Θ₀ and a retention that pulls towards Θ₀,

    A ← Θ₀ + α (A - Θ₀) - ρ (A a) aᵀ + γ D(S)      is      V ← α V - ρ ((V + Θ₀) a) aᵀ + γ D(S)

which is the rule that pulls towards 0, but for what an erase meets of Θ₀. So each kernel works on
V as it would on A, is told what of Θ₀ is erased, and Θ₀ is added to what it answers.

Legend: B batch, H heads, M stacked memories, T positions, J events, D input width, E output width
of a layer; N is 1 where all members share a tensor, else M.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nestgraph.ops.history.materialized import Materialized
from nestgraph.ops.history.orthogonalized import Orthogonalized
from nestgraph.ops.history.recurrence import Layer


@dataclass(frozen=True, kw_only=True)
class StartOffset:
    """One matrix or bias, as what it started from and what moves.

    Attributes:
        towards: Θ₀, (B or 1, H, M, E, D).
        moving: V and its events.
    """

    towards: Tensor
    moving: Layer | Orthogonalized | Materialized

    @property
    def weights(self) -> Tensor:
        """A before the first event, (B, H, M, E, D)."""
        return self.towards + self.moving.weights

    def read(self, x_BHNTD: Tensor, *, before: bool) -> Tensor:
        """Return x_t through A_t, or A_{t-1} if `before`; (B, H, M, T, E)."""
        return self.moving.read(x_BHNTD, before=before) + x_BHNTD @ self.towards.mT

    def states(self) -> Tensor:
        """Return A_1 .. A_T, (B, H, M, T, E, D)."""
        return self.moving.states() + self.towards.unsqueeze(-3)

    def advance(self) -> tuple[Tensor, Tensor | None]:
        """Return a and S after the last token."""
        weights, speed = self.moving.advance()
        return weights + self.towards, speed


def targets_from(start_HED: Tensor, keys: Tensor, values: Tensor, share: float) -> Tensor:
    """Return values less a share of what the first matrices answer: what V is to answer.

    2·D·E FLOPs an event and head.

    Args:
        start_HED: Θ₀.
        keys: (B, H, T, D), or (B, H, T, n, D) for n events a position.
        values: likewise, (..., E).
        share: how often a write counts the answer: once for its error, once where it erases.
    """
    towards = start_HED if keys.dim() == 4 else start_HED.unsqueeze(1)
    return values - share * (keys @ towards.mT)


def with_start(
    moved: tuple[list[Tensor], Tensor], start_HED: Tensor, *queries: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Return answers and last state of A, from those of V.

    2·D·E FLOPs a query and head.

    Args:
        moved: (B, H, T, E) a query, and (B, H, E, D).
        start_HED: Θ₀.
        queries: (B, H, T, D) each.
    """
    answers, last = moved
    both = zip(answers, queries, strict=True)
    return [y + q @ start_HED.mT for y, q in both], last + start_HED
