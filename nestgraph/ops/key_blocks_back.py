"""The way back of `key_blocks`: block by block, from the last to the first.

With D' the gradient of the state behind a chunk, D̄ = D' diag(F_C), and everything else as there:

    d[U; V] = M_qᵀ dY + [Ȳ; Z̄] D̄ᵀ,   dR = (I + M_xy)^-ᵀ dU,   dV = .. - M_xzᵀ dR,   dw = dR
    D = D̄ + dYᵀ Q̂ - dUᵀ W
    dM = [-dR; dY] [U; V]ᵀ where M isn't zero
    d[X̂; Q̂] = dM [Ȳ; Z̄] + [-dR; dY] A,   d[Ȳ; Z̄] = dMᵀ [X̂; Q̂] + [U; V] D̄

A factor F on rows and 1 / F on columns gives log F the gradient X̂ dX̂ + Q̂ dQ̂ - Ȳ dȲ - Z̄ dZ̄.

Legend: as in `key_blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nestgraph.ops.delta_blocks import add_product, gathered
from nestgraph.ops.key_blocks import Block, Flows, Kept


def back(
    flows: Flows,
    kept: Kept,
    last: Tensor,
    given: tuple[Tensor, Sequence[Tensor]],
    needs: Sequence[bool],
) -> tuple[Tensor, list[Tensor | None]]:
    """Gradients of the first state, and of the flows in their order.

    Args:
        flows: of the forward.
        kept: what it left.
        last: the state behind the last chunk.
        given: gradients of `last` and of the answers.
        needs: which flows want a gradient.
    """
    shape, chunks = flows.shape, len(kept.states)
    like = [flows.alpha, flows.pulled, flows.rates, flows.pull_keys, flows.pull_values]
    like += [flows.write_keys, flows.write_values, *flows.queries]
    found = [
        shape.like(x.movedim(0, 2).flatten(2, 3)) if need else None
        for x, need in zip(like, needs, strict=True)
    ]
    targets = [None if x is None else shape.chunks(x) for x in found]
    wanted = [shape.chunks(y) for y in given[1]]
    d_state = given[0].reshape(last.shape)
    for end in range(chunks, 0, -flows.block):
        part = slice(max(0, end - flows.block), end)
        after = kept.states[part.start + 1 : part.stop + 1]
        after = after if end < chunks else torch.cat((after, last.unsqueeze(0)))
        way = _Way(flows.cut(part), kept, part, [gathered(y, part) for y in wanted])
        d_state = way.walk(d_state)
        for target, gradient in zip(targets, way.gradients(flows, part, after, needs), strict=True):
            if target is not None and gradient is not None:
                target[part] = gradient.reshape(target[part].shape)
    return d_state.view(given[0].shape), found


class _Way:
    """The way back through one block."""

    def __init__(self, block: Block, kept: Kept, part: slice, d_found: Sequence[Tensor]) -> None:
        self.block, self.pulls, self.inverses = block, kept.pulls[part], kept.inverses[part]
        self.moved, self.states = kept.moved[part], kept.states[part]
        pulls, flat = block.pulls, self.moved.flatten(0, 1)
        # [-dR; dY]: the first rows are filled behind the way.
        self.d_out = flat.new_empty(len(flat), block.rows.shape[1], flat.shape[-1])
        for index, d_y in enumerate(d_found):
            at = pulls + index * block.size
            self.d_out[:, at : at + block.size] = d_y
        d_y = self.d_out[:, pulls:]
        self.d_moved = block.met[:, pulls:].mT @ d_y
        self.d_start = (d_y.mT @ block.rows[:, pulls:]).view_as(self.states)

    def walk(self, d_state: Tensor) -> Tensor:
        """Chunk by chunk; the gradient of the state before the block."""
        block, pulls = self.block, self.block.pulls
        chunks = self.moved.shape[:2]
        places = self.states.new_empty(len(self.states) + 1, *self.states.shape[1:])
        places[-1] = d_state
        self.d_after = places[1:]  # D'
        self.faded = torch.empty_like(self.states)  # D̄
        d_moved = self.d_moved.unflatten(0, chunks)
        each = (
            self.d_start,
            places[:-1],
            self.d_after,
            self.faded,
            d_moved,
            d_moved[:, :, :pulls],
            self.pulls,
            block.columns.unflatten(0, chunks),
            block.fades[1][:, -1:].unflatten(0, chunks),
        )
        steps = list(zip(*(x.unbind() for x in each), strict=True))
        for start, before, after, faded, d_chunk, d_pulling, pull, column, end in reversed(steps):
            torch.mul(after, end, out=faded)
            add_product(d_chunk, column, faded.mT)
            torch.add(start, faded, out=before)
            if pulls:
                add_product(before, d_pulling.mT, pull, alpha=-1)
        if pulls:
            d_right = self.inverses.flatten(0, 1).mT @ self.d_moved[:, :pulls]
            torch.neg(d_right, out=self.d_out[:, :pulls])
        return places[0]

    def gradients(
        self, flows: Flows, part: slice, after: Tensor, needs: Sequence[bool]
    ) -> list[Tensor | None]:
        """Of each flow that wants one, in one piece."""
        block, pulls, size = self.block, self.block.pulls, self.block.size
        count, (alpha, fade, start, scale) = block.counts[0], block.fades
        moved, faded = self.moved.flatten(0, 1), self.faded.flatten(0, 1)
        d_met = (self.d_out @ moved.mT).mul_(flows.mask)
        d_rows = torch.baddbmm(self.d_out @ self.states.flatten(0, 1), d_met, block.columns)
        d_columns = torch.baddbmm(moved @ faded, d_met.mT, block.rows)
        d_values = self.d_moved[:, pulls:]
        if pulls:  # into a new one: products into a part of another go one by one
            d_right = self.d_out[:, :pulls]
            d_values = torch.baddbmm(d_values, block.met[:, :pulls, pulls:].mT, d_right)
        d_told = self.d_out[:, :pulls].neg() if needs[4] else None
        d_fade = self._d_fade(flows.moments, block.rows * d_rows, block.columns * d_columns)
        d_fade[:, -1] += (self.d_after * after).sum(-2).flatten(0, 1)
        d_alpha = (flows.lower.mT @ d_fade).div_(alpha)
        width = alpha.shape[-1]
        d_x = d_rows[:, :pulls].view(len(alpha), size, count, width)
        d_rates = None
        if needs[2]:
            pulled = gathered(flows.pulled, part).view(d_x.shape)
            d_rates = (d_x * pulled).mul_(start.unsqueeze(2)).sum(-1, keepdim=True)
        d_y, d_z = (
            x.reshape(len(alpha), size, -1, width) / fade.unsqueeze(2)
            for x in d_columns.split((pulls, d_columns.shape[1] - pulls), 1)
        )
        d_queries = [
            d_rows[:, pulls + index * size : pulls + (index + 1) * size]
            * (fade if at == "after" else start)
            for index, at in enumerate(flows.moments)
        ]
        return [d_alpha, d_x * scale, d_rates, d_y, d_told, d_z, d_values, *d_queries]

    def _d_fade(self, moments: Sequence[str], rows: Tensor, columns: Tensor) -> Tensor:
        """Of log F (m·G, C, D), from rows and columns times their gradients."""
        pulls, size, count = self.block.pulls, self.block.size, self.block.counts[0]
        d_fade = _positions(columns, size, pulls).neg_()
        parts = rows.split((pulls, *[size] * len(moments)), 1)
        for read, at in zip(parts[1:], moments, strict=True):
            if at == "after":
                d_fade += read
            else:
                d_fade[:, :-1] += read[:, 1:]
        if pulls:
            pulled = parts[0].reshape(len(rows), size, count, -1).sum(2)
            d_fade[:, :-1] += pulled[:, 1:]
        return d_fade


def _positions(x: Tensor, size: int, pulls: int) -> Tensor:
    """Summed over the events of a position, (m·G, C, D)."""
    parts = x.split((pulls, x.shape[1] - pulls), 1)
    first, second = (part.reshape(len(x), size, -1, x.shape[-1]).sum(2) for part in parts)
    total: Tensor = first.add_(second)
    return total
