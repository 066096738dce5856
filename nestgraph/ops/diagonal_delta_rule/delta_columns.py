"""Chunks of a `diagonal_delta` memory whose pulls have one number each: one inverse a chunk.

With X̂ = x and Q̂ = q faded since the chunk's start, Ŷ the keys faded until its end, and M what is
left of earlier events (`fades`):

    [Z_k | Z_w] = (I + c M_xy)^-1 [c X̂ | w - c M_xz W]
    A' = A (diag(b_C) - Z_kᵀ Ŷ) + Z_wᵀ Ŷ + Wᵀ Ẑ
    answers = (Q̂ - M_qy Z_k) Aᵀ + M_qy Z_w + M_qz W

Everything but A' is worked out for all chunks at once (Yang et al., arXiv 2406.06484).

Legend: B batch, H heads, T time, G = B·H groups, N chunks of C positions, p pulls and f writes a
position, R queries, D key width, E value width.
FLOPs a position and group: M, (p + R)(p + f) C D; Z, 2 C p² (D + E) and 2 C p f E; A', 2 p D² +
2 (p + f) D E + 2 E D² / C; answers, 2 R D E + 2 C R (p (D + E) + f E). Bytes kept, in float32:
4 (2 D (p + R) + 3 (p + f) D + (p + f) E + p (D + E) + C (p + R)(p + f) + 2 C p² + (E + D) D / C).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.common.chunks import Cut
from nestgraph.ops.common.triangular import unit_lower_inverse
from nestgraph.ops.diagonal_delta_rule.chunk_decay import Decay
from nestgraph.ops.diagonal_delta_rule.delta_events import Events
from nestgraph.ops.scan.affine_scan import affine_scan


class Met(NamedTuple):
    """M by rows (pulls x, queries q) and columns (pulls y, writes z), each (G, N, C·a, C·b)."""

    xy: Tensor
    xz: Tensor
    qy: Tensor
    qz: Tensor


def run(
    cut: Cut, decay: Decay, events: Events, first_GED: Tensor, queries_BHTRD: Tensor
) -> tuple[Tensor, Tensor]:
    """Return answers (G, N, C, R, E) from the state before each position, and the last state."""
    pulled, rates, keys, values, queries = (
        cut.split(x)
        for x in (events.pulled, events.rates, events.keys, events.values, queries_BHTRD)
    )
    pulls, shape = events.pulls, queries.shape[:4]
    width, rows = keys.shape[-1], first_GED.shape[1]
    met = meet(decay, pulled, queries, keys, pulls)
    pulled_ends, free_ends = both(decay.until_end(keys), pulls)
    written, free = both(values, pulls)
    asked, inside = flat(decay.since_start(queries)), met.qz @ free
    additions = free.mT @ free_ends
    if not pulls:
        states, last = affine_scan(first_GED, _numbers(decay, keys), additions)
        return (asked @ states.mT + inside).view(*shape, rows), last
    pace = flat(rates)
    right = written - pace * (met.xz @ free)
    right = torch.cat((pace * flat(decay.since_start(pulled)), right), -1)
    solved = unit_lower_inverse(pace * met.xy) @ right
    moved, placed = (solved.mT @ pulled_ends).split((width, rows), -2)
    states, last = affine_scan(first_GED, _diagonal(decay, keys) - moved, additions + placed)
    known, told = (met.qy @ solved).split((width, rows), -1)
    return ((asked - known) @ states.mT + told + inside).view(*shape, rows), last


def meet(decay: Decay, pulled: Tensor, queries: Tensor, keys: Tensor, pulls: int) -> Met:
    """Return all products at once, then apart."""
    groups, chunks, size, asked = queries.shape[:4]
    rows = torch.cat((pulled, queries), 3)
    products = decay.products(rows, keys)
    apart = products.view(groups, chunks, size, pulls + asked, size, keys.shape[3])
    # Splits, unlike slices, have a backward without zeros to fill.
    pairs = [
        part.flatten(4, 5).flatten(2, 3)
        for row in apart.split((pulls, asked), 3)
        for part in row.split((pulls, keys.shape[3] - pulls), 5)
    ]
    return Met(*pairs)


def both(x_GNCaD: Tensor, pulls: int) -> tuple[Tensor, Tensor]:
    """Return what belongs to the pulls and to the writes, (G, N, C·p, D) and (G, N, C·f, D)."""
    first, second = x_GNCaD.split((pulls, x_GNCaD.shape[3] - pulls), 3)
    return flat(first), flat(second)


def flat(x_GNCaD: Tensor) -> Tensor:
    """Return (G, N, C·a, D)."""
    return x_GNCaD.flatten(2, 3)


def _numbers(decay: Decay, keys: Tensor) -> Tensor:
    whole = decay.whole()
    return keys.new_ones(keys.shape[:2]) if whole is None else whole


def _diagonal(decay: Decay, keys: Tensor) -> Tensor:
    """Return what is left of the state over a chunk, as a matrix."""
    whole, width = _numbers(decay, keys), keys.shape[-1]
    if whole.dim() == 3:
        return torch.diag_embed(whole)
    return whole[..., None, None] * torch.eye(width, dtype=keys.dtype, device=keys.device)
