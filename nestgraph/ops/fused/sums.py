"""Matrices that are sums of a decaying start and of events, written out for a block of groups.

    X_t = q_t X_0 - Σ_j G_tj w_j a_jᵀ

Momenta and states of memories are such sums. What asks each of them once, and only through
another map, makes a block of them, uses it while it is in the cache, and makes it again for its
backward.

Legend: B batch, H heads, M stacked memories, g groups of them, T positions, J events, R rows and
C columns of a matrix. FLOPs a matrix: 2J·R·C, and 4J·R·C for the gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def grouped(x: Tensor, lead: tuple[int, int, int], inner: int) -> Tensor:
    """Return (B or 1, H or 1, M or 1, ...), or without these axes, for every group: (g, ...)."""
    own = x.shape[x.dim() - inner :]
    return x.expand(*lead, *own).reshape(-1, *own)


class Sums(NamedTuple):
    """What X_1 .. X_T of some groups are made of; without a start, X_0 is zero."""

    events_gTJ: Tensor
    left_gJR: Tensor
    right_gJC: Tensor
    start_gT: Tensor | None
    first_gRC: Tensor | None

    def of(self, some: slice) -> Sums:
        """Return those of a few groups."""
        return Sums(*(None if x is None else x[some] for x in self))  # type: ignore[arg-type]

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Return -G w (gT, J, R) and a (gT, J, C) of every token."""
        events = self.events_gTJ.neg().unsqueeze(-1)
        right = self.right_gJC.unsqueeze(1).expand(-1, events.shape[1], -1, -1)
        return (events * self.left_gJR.unsqueeze(1)).flatten(0, 1), right.flatten(0, 1)

    def matrices(self, left: Tensor, right: Tensor) -> Tensor:
        """Return X of every token from its pairs, (gT, R, C)."""
        if self.start_gT is None or self.first_gRC is None:
            return torch.bmm(left.mT, right)
        first = self.start_gT[:, :, None, None] * self.first_gRC.unsqueeze(1)
        return first.flatten(0, 1).baddbmm_(left.mT, right)

    def gradients(self, left: Tensor, right: Tensor, d_x_gTRC: Tensor) -> Sums:
        """Return gradients of everything, from those of X and the pairs of every token."""
        flat, (groups, time, _) = d_x_gTRC.flatten(0, 1), self.events_gTJ.shape
        d_left = torch.bmm(right, flat.mT).neg_().view(groups, time, *self.left_gJR.shape[1:])
        d_start, d_first = None, None
        if self.start_gT is not None and self.first_gRC is not None:
            rows = d_x_gTRC.flatten(2)
            d_start = torch.bmm(rows, self.first_gRC.flatten(1).unsqueeze(2)).squeeze(2)
            d_first = torch.bmm(self.start_gT.unsqueeze(1), rows).view_as(self.first_gRC)
        return Sums(
            events_gTJ=(d_left * self.left_gJR.unsqueeze(1)).sum(-1),
            left_gJR=(d_left * self.events_gTJ.unsqueeze(-1)).sum(1),
            right_gJC=torch.bmm(left, flat).view(groups, time, *self.right_gJC.shape[1:]).sum(1),
            start_gT=d_start,
            first_gRC=d_first,
        )
