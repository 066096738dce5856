"""Newton-Schulz of a momentum at every token of a segment, as one node of the autograd graph.

The momentum S_t = q_t S_0 - Σ_j G_tj w_j a_jᵀ is made block by block, orthogonalised while it is
in the cache, and made again for the backward: only the results are written out. Their sum with
given factors comes along, so that its gradient joins theirs in the cache too.

Legend: B batch, H heads, M stacked memories, g groups of them, T positions, J events, E rows and
D columns of a matrix; N is 1 where all members share a tensor, else M. C and R are D and E, or E
and D: C the shorter one, as `newton_schulz_rounds.py` wants it.
FLOPs a token and matrix of size n: k·6n³ + 2J·n² forward, k·18n³ + 6J·n² more backward, for k
rounds; n² numbers written, and twice as many read for the backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.fused.sums import Sums, grouped
from nestgraph.ops.history.newton_schulz_rounds import Rounds, blocks


def directions(
    speed: Tensor | None,
    writes_BHMJE: Tensor,
    inputs_BHNJD: Tensor,
    start: Tensor | None,
    events: Tensor,
    end: Tensor,
    rounds: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return D(S_1) .. D(S_T), their sum at the end, and S_T.

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
    flows: list[Tensor | None] = [grouped(x, lead, 1 + (x is not end)) for x in (end, events)]
    flows += [grouped(x, lead, 2) for x in (left, right)]
    if speed is None or start is None:
        flows += [None, None]
    else:
        flows += [grouped(start.squeeze(-1), lead, 1), grouped(speed, lead, 2)]
    some: tuple[Tensor, ...] = _Directions.apply(rounds, *flows)  # type: ignore[no-untyped-call]
    steps, total, last = (x.view(*lead, *x.shape[1:]) for x in some)
    return (steps.mT, total.mT, last.mT) if wide else (steps, total, last)


class _Directions(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rounds: int, end_gT: Tensor, *flows: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.rounds, momentum = rounds, Sums(*flows)  # type: ignore[arg-type]
        left, right, time = momentum.left_gJR, momentum.right_gJC, momentum.events_gTJ.shape[1]
        last = left.new_empty(len(left), left.shape[-1], right.shape[-1])
        steps, walk = last.new_empty(len(left), time, *last.shape[1:]), None
        for some in blocks(last, time):
            part = momentum.of(some)
            speeds = part.matrices(*part.pairs())
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
        momentum, time, found, walk = Sums(*flows), steps.shape[1], [], None
        for some in blocks(d_last, time):
            part = momentum.of(some)
            pairs = part.pairs()
            speeds = part.matrices(*pairs)
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
