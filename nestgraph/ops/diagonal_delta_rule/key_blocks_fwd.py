"""Chunks of a `diagonal_delta` memory with retention by key, a few at a time, out of the cache.

With F the product of retentions from a chunk's start up to and with a position, rows and columns
are measured against the start,

    X̂ = c x F_prev,   Q̂ = q F (`after`) or q F_prev (`before`),   Ȳ = y / F,   Z̄ = z / F

and nothing fades within the chunk any more. From the state A before it, with M the products of
rows [X̂; Q̂] and columns [Ȳ; Z̄] where the column's event comes first,

    U = (I + M_xy)^-1 (w - M_xz V) - W Aᵀ,   W = (I + M_xy)^-1 X̂
    A' = (A + Uᵀ Ȳ + Vᵀ Z̄) diag(F_C),   answers = Q̂ Aᵀ + M_qy U + M_qz V

What no state is in is worked out for a block of chunks at once, as in `delta_blocks`. 1 / F must
stay a number: this is for chunks that forget no more than `REACH` allows.

Legend: G = B·H groups, N chunks of C positions, p pulls, f writes and r reads a position, D key
width, E value width; m chunks of a block. Rows are C·p pulls, then C·r reads; columns C·p pulls,
then C·f writes.
FLOPs a chunk and group: 2 C² (p + r)(p + f) D for M, (C p)³/3 for the inverse, 2 C² p (p + f) E
for U, 2 C² p² D for W, 2 C (p + r) D E and 2 C (p + f) D E with the state, 2 C² r (p + f) E for the
answers; twice that backward. Bytes, in float32: every flow and its gradient pass once each way;
kept are 4 C (3 p + f + r + 1) D (rows, columns, W, F), 4 C (p + f) E (U and V),
4 C² ((p + r)(p + f) + p²) (M and inverses) and 4 D E (states).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.common.triangular import plain_inverse
from nestgraph.ops.delta_rule.delta_blocks_fwd import At, Shape, add_product, gathered

REACH = 40.0
"""-log of the least that a chunk may leave of a channel; 1 / F is at most e^40 then."""


def within_reach(alpha_BHTD: Tensor, size: int) -> bool:
    """Return whether chunks of `size` positions forget little enough; on a CPU, where looking is
    cheap.
    """
    if alpha_BHTD.device.type != "cpu" or alpha_BHTD.numel() == 0:
        return False
    return bool(alpha_BHTD.detach().amin() >= math.exp(-REACH / size))


class Kept(NamedTuple):
    """What the forward leaves to the backward, and works with itself.

    Attributes:
        fades: 1, then F at each position, (N, G, C + 1, D).
        rows: X̂, then Q̂ read by read, (N, G, C·(p + r), D).
        columns: Ȳ, then Z̄, (N, G, C·(p + f), D).
        met: M, (N, G, C·(p + r), C·(p + f)).
        moved: U, then V, (N, G, C·(p + f), E).
        pulls: W, (N, G, C·p, D).
        inverses: (N, G, C·p, C·p).
        states: A before each chunk, (N, G, E, D).
    """

    fades: Tensor
    rows: Tensor
    columns: Tensor
    met: Tensor
    moved: Tensor
    pulls: Tensor
    inverses: Tensor
    states: Tensor

    def block(self, part: slice) -> Kept:
        """Return the part of some chunks, (m·G, ...)."""
        return Kept(*(x[part].flatten(0, 1) for x in self))

    @property
    def start(self) -> Tensor:
        """F_prev of a block."""
        return self.fades[:, :-1]

    @property
    def decay(self) -> Tensor:
        """F of a block."""
        return self.fades[:, 1:]


class Flows(NamedTuple):
    """All flows by chunks: views (N, B, H, C, ..., width).

    Attributes:
        shape: the axes.
        moments: of the reads.
        block: chunks to take at once.
        lower: ones (C + 1, C) where the column's position comes before the row's.
        mask: which columns come before which rows, (C·(p + r), C·(p + f)).
        alpha: retention.
        pulled: x.
        rates: c.
        pull_keys: y.
        pull_values: w.
        write_keys: z.
        write_values: V.
        queries: q of each read.
    """

    shape: Shape
    moments: tuple[At, ...]
    block: int
    lower: Tensor
    mask: Tensor
    alpha: Tensor
    pulled: Tensor
    rates: Tensor
    pull_keys: Tensor
    pull_values: Tensor
    write_keys: Tensor
    write_values: Tensor
    queries: list[Tensor]

    @classmethod
    def of(cls, shape: Shape, moments: tuple[At, ...], flows: Sequence[Tensor]) -> Flows:
        """Return those from flows (B, H, T, ...) in the order of the attributes."""
        pulls, writes = flows[1].shape[3], flows[5].shape[3]
        block = shape._replace(many=pulls + writes).block_of(flows[3], flows[6])
        alpha, x, c, y, w, z, v, *queries = (shape.chunks(flow) for flow in flows)
        lower = alpha.new_ones(shape.size + 1, shape.size).tril(-1)
        mask = _mask(lower[1:], moments, pulls, writes)
        return cls(shape, moments, block, lower, mask, alpha, x, c, y, w, z, v, queries)

    @property
    def counts(self) -> tuple[int, int, int]:
        """p, f and r."""
        return self.pulled.shape[-2], self.write_keys.shape[-2], len(self.queries)

    def kept(self) -> Kept:
        """Return empty, to be filled."""
        pulls, writes, asked = (self.shape.size * count for count in self.counts)
        chunks, groups, size = len(self.alpha), self.shape.batch * self.shape.heads, self.shape.size
        width, high = self.write_keys.shape[-1], self.write_values.shape[-1]
        sizes = (
            (size + 1, width),
            (pulls + asked, width),
            (pulls + writes, width),
            (pulls + asked, pulls + writes),
            (pulls + writes, high),
            (pulls, width),
            (pulls, pulls),
            (high, width),
        )
        return Kept(*(self.alpha.new_empty(chunks, groups, *rest) for rest in sizes))

    def cut(self, part: slice, block: Kept) -> None:
        """Fill in what fades, rows, columns and M of some chunks."""
        (pulls, writes, asked), size, over = self.counts, self.shape.size, self.shape.over
        logs = torch.empty_like(block.fades[:, 1:])
        torch.log(self.alpha[part].unsqueeze(-2), out=over(logs))
        torch.bmm(self.lower.expand(len(logs), -1, -1), logs, out=block.fades).exp_()
        inverse = block.decay.reciprocal()
        x, *q = block.rows.split((size * pulls, *[size] * asked), 1)
        y, z = block.columns.split((size * pulls, size * writes), 1)
        scaled = [
            (x, self.pulled, self.scale(part, block)),
            (y, self.pull_keys, inverse),
            (z, self.write_keys, inverse),
        ]
        for target, query, at in zip(q, self.queries, self.moments, strict=True):
            scaled.append(
                (target, query.unsqueeze(-2), block.decay if at == "after" else block.start)
            )
        for target, flow, factor in scaled:
            torch.mul(flow[part], over(factor), out=over(target))
        torch.bmm(block.rows, block.columns.mT, out=block.met).mul_(self.mask)

    def scale(self, part: slice, block: Kept) -> Tensor:
        """Return c F_prev, (m·G, C·p, D)."""
        pulls, start = self.counts[0], block.start
        rates = gathered(self.rates, part).view(len(start), self.shape.size, pulls, 1)
        return (rates * start.unsqueeze(2)).flatten(1, 2)


def _mask(lower_CC: Tensor, moments: tuple[At, ...], pulls: int, writes: int) -> Tensor:
    strict = lower_CC.tril(-1)
    rows = [strict.repeat_interleave(pulls, 0)]
    rows += [lower_CC if at == "after" else strict for at in moments]
    wide = torch.cat(rows)
    return torch.cat((wide.repeat_interleave(pulls, 1), wide.repeat_interleave(writes, 1)), 1)


def forward(flows: Flows, kept: Kept, part: slice, last: Tensor) -> Tensor:
    """Return U, the states and the answers (m·G, C, r, E) of one block."""
    block, pulls = kept.block(part), kept.pulls.shape[2]
    flows.cut(part, block)
    told, free = (gathered(x, part) for x in (flows.pull_values, flows.write_values))
    block.moved[:, pulls:] = free
    if pulls:
        inverse = plain_inverse(block.met[:, :pulls, :pulls].contiguous())
        block.inverses.copy_(inverse)
        fed = torch.baddbmm(told, block.met[:, :pulls, pulls:], free, alpha=-1)
        block.moved[:, :pulls] = inverse @ fed
        torch.bmm(inverse, block.rows[:, :pulls], out=block.pulls)
    _walk(kept, part, last)
    asked = block.rows[:, pulls:] @ block.states.mT
    add_product(asked, block.met[:, pulls:], block.moved)
    answers: Tensor = asked.unflatten(1, (len(flows.queries), flows.shape.size)).transpose(1, 2)
    return answers


def _walk(kept: Kept, part: slice, last: Tensor) -> None:
    """Compute U and the states, chunk by chunk."""
    moved, pulls = kept.moved[part], kept.pulls.shape[2]
    places = [*kept.states[part.start : part.stop + 1].unbind()]
    places += [] if len(places) > len(moved) else [last]
    each = (moved, moved[:, :, :pulls], kept.pulls[part], kept.columns[part])
    steps = zip(
        places,
        places[1:],
        *(x.unbind() for x in each),
        kept.fades[part][:, :, -1:].unbind(),
        strict=False,
    )
    for state, after, u, pulling, pull, column, end in steps:
        if pulls:
            pulling.copy_(torch.baddbmm(pulling, pull, state.mT, alpha=-1))
        torch.baddbmm(state, u.mT, column, out=after).mul_(end)
