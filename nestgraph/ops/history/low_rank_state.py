"""A matrix as what it started from and the events since, which are few.

A state that neither erases nor bends what it adds up is, with b, c and D of `decay_matrix.py`,

    A_t = b_t A_0 + c_t S_0 - Σ_j D_tj w_j a_jᵀ

A row that asks it goes through A_0 and S_0, which all tokens share, and through the events.

Legend: B batch, H heads, M members, G = M·B·H with members outermost, T tokens, which are the
events, D input width, E output width of a layer.
FLOPs a token and matrix: 2DE to read, as much to move, each twice with momentum; 2T(D + E) for
the events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nestgraph.ops.common.layout import innermost, outermost
from nestgraph.ops.history.decay_matrix import DecayMatrix, earlier
from nestgraph.ops.history.shared_base_weights import Share, SharedBaseWeights
from nestgraph.ops.ttt.memory_config import MemoryConfig
from nestgraph.ops.ttt.segment_end import Left

Moment = Callable[[Tensor, float], Tensor]
"""Rows of the state that tokens ask, from those behind each token and a first one."""


def is_low_rank(config: MemoryConfig) -> bool:
    """Return whether a state of this form is such a sum."""
    return (
        config.erase == "none"
        and config.mirror == "none"
        and config.gradient == "full"
        and config.window == 1
        and config.events == 1
        and not (
            config.is_explicit
            or config.retain_first
            or config.reduces
            or config.per
            or config.towards_start
        )
    )


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What is left of W, S and each event at every token, for every matrix of a stack.

    Attributes:
        weights: b, (G, T, 1); None is 1.
        speed: c, (G, T, 1); None without momentum.
        events: D, (G, T, T).
        left: at the end.
    """

    weights: Tensor | None
    speed: Tensor | None
    events: Tensor
    left: Left

    @classmethod
    def of(cls, fades: DecayMatrix, shape: torch.Size, members: int) -> Shares:
        """Return shares from what is left for heads; shape is (B, H)."""

        def stacked(x: Tensor) -> Tensor:
            return outermost(x.expand(*shape, members, *x.shape[-2:]))

        events = stacked(fades.speed_events)
        weights = None if fades.start is None else stacked(fades.start)
        whole = events.new_ones(len(events), 1, 1) if weights is None else weights[:, -1:]
        starts, ends, speed = [whole], [events[:, -1].unsqueeze(-1)], None
        if fades.speed_end is not None:
            assert fades.speed_start is not None, "momentum is given"
            speed, (paces, pushes) = stacked(fades.speed_start), fades.speed_end
            starts += [speed[:, -1:], stacked(paces)]
            ends.append(stacked(pushes))
        left = Left(torch.stack(starts), torch.stack(ends))
        return cls(weights=weights, speed=speed, events=events, left=left)


def after(rows: Tensor, first: float) -> Tensor:
    """Return answers that know each token's own event."""
    return rows


def earlier_than(rows: Tensor, first: float) -> Tensor:
    """Return answers that know what happened before each token's own event."""
    return earlier(rows, first)


def at_ticks(period: int, count: int = 0) -> Moment:
    """Return answers that know what happened before the last tick; `count` rows ask a
    period.
    """
    count = count or period

    def moment(rows: Tensor, first: float) -> Tensor:
        head = rows.new_full((1, 1, 1), first).expand(len(rows), count, rows.shape[-1])
        ticks = rows[:, period - 1 : -1 : period].repeat_interleave(count, 1)
        return torch.cat((head, ticks), 1)

    return moment


@dataclass(frozen=True, kw_only=True)
class LowRankState:
    """One matrix, its start and its events.

    Attributes:
        ground: A_0 and S_0.
        shares: what is left of them.
        inputs: a, (G, T, D).
        writes: w, (G, T, E).
    """

    ground: SharedBaseWeights
    shares: Shares
    inputs: Tensor
    writes: Tensor

    def read(self, x_BHNTD: Tensor, moment: Moment | None, *, late: int = 0) -> Tensor:
        """Return x_t through the state at a moment, (B, H, M, T, E).

        Args:
            x_BHNTD: rows.
            moment: which state each of them asks; None is what they all started from.
            late: how many of them find no momentum yet.
        """
        shares, shape = self.shares, self.ground.shape
        x = stacked_rows(x_BHNTD, shape, self.ground.members)
        if moment is None:
            return innermost(self.ground.ask(x, Share()), *shape)
        b, c = shares.weights, shares.speed
        share = Share(
            None if b is None else moment(b, 1.0),
            None if c is None else moment(c, 0.0)[:, late:],
            late,
        )
        y = self.ground.ask(x, share)
        scores = torch.bmm(x, self.inputs.mT) * moment(shares.events, 0.0)
        return innermost(torch.baddbmm(y, scores, self.writes, alpha=-1), *shape)

    @property
    def weights(self) -> Tensor:
        """A_0, (B, H, M, E, D)."""
        return innermost(self.ground.parts[0], *self.ground.shape)

    def states(self) -> Tensor:
        """Return A_1 .. A_T, (B, H, M, T, E, D); 2·T·E·D FLOPs a token."""
        (first, *speed), shares = self.ground.parts, self.shares
        pairs = self.writes.unsqueeze(-1) * self.inputs.unsqueeze(-2)
        moved = (shares.events @ pairs.flatten(-2)).view_as(pairs)
        states = first.unsqueeze(1)
        if shares.weights is not None:
            states = states * shares.weights.unsqueeze(-1)
        if shares.speed is not None:
            states = states + shares.speed.unsqueeze(-1) * speed[0].unsqueeze(1)
        found = states - moved
        return found.view(-1, *self.ground.shape, *found.shape[1:]).permute(1, 2, 0, 3, 4, 5)

    def advance(self) -> tuple[Tensor, Tensor | None]:
        """Return a and S after the last token."""
        return self.ground.moved(self.inputs, self.writes, self.shares.left)


def stacked_rows(x_BHNTD: Tensor, shape: torch.Size, members: int) -> Tensor:
    """Return (G, T, D), of rows that batch, heads or members may share; shape is (B, H)."""
    return outermost(x_BHNTD.expand(*shape, members, -1, -1))
