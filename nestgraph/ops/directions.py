"""Newton-Schulz of a momentum at every token of a segment, as one node of the autograd graph.

The momentum S_t = q_t S_0 - Σ_j G_tj w_j a_jᵀ is made block by block, orthogonalised while it is
in the cache, and made again for the backward: only the results are written out. Their sum with
given factors comes along, so that its gradient joins theirs in the cache too.

Legend: B batch, H heads, M stacked memories, g groups of them, T positions, J events, E rows and
D columns of a matrix; N is 1 where all members share a tensor, else M. C and R are D and E, or E
and D: C the shorter one, as `rounds.py` wants it.
FLOPs a token and matrix of size n: k·6n³ + 2J·n² forward, k·18n³ + 6J·n² more backward, for k
rounds; n² numbers written, and twice as many read for the backward.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.rounds import Rounds, blocks


def directions(
    speed: Tensor | None,
    writes_BHMJE: Tensor,
    inputs_BHNJD: Tensor,
    start: Tensor | None,
    events: Tensor,
    end: Tensor,
    rounds: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """D(S_1) .. D(S_T), their sum at the end, and S_T.

    Args:
        speed: S_0, (B, H, M, E, D); None is zero.
        writes_BHMJE: w.
        inputs_BHNJD: a.
        start: q, (B, H, 1, T, 1); None is zero.
        events: G, (B or 1, H or 1, 1, T, J), or (T, J).
        end: factors of the sum, (B or 1, H or 1, 1, T), or (T,).
        rounds: of Newton-Schulz, at least one.

    Returns:
        (B, H, M, T, E, D), and twice (B, H, M, E, D).
    """
    batch, heads, members, _, rows = writes_BHMJE.shape
    columns, lead = inputs_BHNJD.shape[-1], (batch, heads, members)
    left, right = writes_BHMJE, inputs_BHNJD
    wide = rows < columns
    if wide:
        left, right = right, left
        speed = None if speed is None else speed.mT
    flows: list[Tensor | None] = [_groups(x, lead, 1 + (x is not end)) for x in (end, events)]
    flows += [_groups(x, lead, 2) for x in (left, right)]
    if speed is None or start is None:
        flows += [None, None]
    else:
        flows += [_groups(start.squeeze(-1), lead, 1), _groups(speed, lead, 2)]
    some: tuple[Tensor, ...] = _Directions.apply(rounds, *flows)  # type: ignore[no-untyped-call]
    steps, total, last = (x.view(*lead, *x.shape[1:]) for x in some)
    return (steps.mT, total.mT, last.mT) if wide else (steps, total, last)


def _groups(x: Tensor, lead: tuple[int, int, int], inner: int) -> Tensor:
    """(B or 1, H or 1, M or 1, ...), or without these axes, for every group: (g, ...)."""
    own = x.shape[x.dim() - inner :]
    return x.expand(*lead, *own).reshape(-1, *own)


class _Momentum(NamedTuple):
    """What S_1 .. S_T are made of, for some groups."""

    events_gTJ: Tensor
    left_gJR: Tensor
    right_gJC: Tensor
    start_gT: Tensor | None
    speed_gRC: Tensor | None

    def of(self, some: slice) -> _Momentum:
        """Those of a few groups."""
        return _Momentum(*(None if x is None else x[some] for x in self))  # type: ignore[arg-type]

    def pairs(self) -> tuple[Tensor, Tensor]:
        """-G w (gT, J, R) and a (gT, J, C) of every token."""
        events = self.events_gTJ.neg().unsqueeze(-1)
        right = self.right_gJC.unsqueeze(1).expand(-1, events.shape[1], -1, -1)
        return (events * self.left_gJR.unsqueeze(1)).flatten(0, 1), right.flatten(0, 1)

    def speeds(self, left: Tensor, right: Tensor) -> Tensor:
        """S of every token from its pairs, (gT, R, C)."""
        if self.start_gT is None or self.speed_gRC is None:
            return torch.bmm(left.mT, right)
        first = self.start_gT[:, :, None, None] * self.speed_gRC.unsqueeze(1)
        return first.flatten(0, 1).baddbmm_(left.mT, right)

    def gradients(self, left: Tensor, right: Tensor, d_speeds_gTRC: Tensor) -> _Momentum:
        """Of everything, from those of S and the pairs of every token."""
        flat, (groups, time, _) = d_speeds_gTRC.flatten(0, 1), self.events_gTJ.shape
        d_left = torch.bmm(right, flat.mT).neg_().view(groups, time, *self.left_gJR.shape[1:])
        d_start, d_speed = None, None
        if self.start_gT is not None and self.speed_gRC is not None:
            rows = d_speeds_gTRC.flatten(2)
            d_start = torch.bmm(rows, self.speed_gRC.flatten(1).unsqueeze(2)).squeeze(2)
            d_speed = torch.bmm(self.start_gT.unsqueeze(1), rows).view_as(self.speed_gRC)
        return _Momentum(
            events_gTJ=(d_left * self.left_gJR.unsqueeze(1)).sum(-1),
            left_gJR=(d_left * self.events_gTJ.unsqueeze(-1)).sum(1),
            right_gJC=torch.bmm(left, flat).view(groups, time, *self.right_gJC.shape[1:]).sum(1),
            start_gT=d_start,
            speed_gRC=d_speed,
        )


class _Directions(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rounds: int, end_gT: Tensor, *flows: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.rounds, momentum = rounds, _Momentum(*flows)  # type: ignore[arg-type]
        left, right, time = momentum.left_gJR, momentum.right_gJC, momentum.events_gTJ.shape[1]
        last = left.new_empty(len(left), left.shape[-1], right.shape[-1])
        steps, walk = last.new_empty(len(left), time, *last.shape[1:]), None
        for some in blocks(last, time):
            part = momentum.of(some)
            speeds = part.speeds(*part.pairs())
            walk = walk or Rounds(speeds, rounds, keeps=False)
            walk.run(speeds, steps[some].flatten(0, 1))
            last[some] = speeds[time - 1 :: time]
        total = torch.bmm(end_gT.unsqueeze(1), steps.flatten(2)).view_as(last)
        ctx.save_for_backward(steps, end_gT, *flows)
        return steps, total, last

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_steps: Tensor, d_total: Tensor, d_last: Tensor
    ) -> tuple[Tensor | None, ...]:
        steps, end_gT, *flows = ctx.saved_tensors
        momentum, time, found, walk = _Momentum(*flows), steps.shape[1], [], None
        for some in blocks(d_last, time):
            part = momentum.of(some)
            pairs = part.pairs()
            speeds = part.speeds(*pairs)
            walk = walk or Rounds(speeds, ctx.rounds, keeps=True)
            walk.run(speeds)
            d_whole = d_total[some]
            d_end = torch.bmm(steps[some].flatten(2), d_whole.flatten(1).unsqueeze(2)).squeeze(2)
            end = end_gT[some, :, None, None]
            d_some = torch.addcmul(d_steps[some], end, d_whole.unsqueeze(1))
            d_speeds = torch.empty_like(speeds)
            walk.back(d_some.flatten(0, 1), d_speeds)
            d_speeds[time - 1 :: time] += d_last[some]
            found.append((d_end, *part.gradients(*pairs, d_speeds.unflatten(0, (-1, time)))))
        whole = [None if x[0] is None else torch.cat(x) for x in zip(*found, strict=True)]
        return None, *whole
