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

from nestgraph.ops.delta_rule.delta_blocks_fwd import add_product, gathered
from nestgraph.ops.diagonal_delta_rule.key_blocks_fwd import Flows, Kept

Targets = Sequence[Tensor | None]


def back(
    flows: Flows,
    kept: Kept,
    last: Tensor,
    given: tuple[Tensor, Sequence[Tensor]],
    needs: Sequence[bool],
) -> tuple[Tensor, list[Tensor | None]]:
    """Return gradients of the first state, and of the flows in their order.

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
        way = _Way(flows, kept, part, [gathered(y, part) for y in wanted])
        d_state = way.walk(d_state)
        way.finish(after, [None if target is None else target[part] for target in targets])
    return d_state.view(given[0].shape), found


class _Way:
    """The way back through one block."""

    def __init__(self, flows: Flows, kept: Kept, part: slice, d_found: Sequence[Tensor]) -> None:
        self.flows, self.kept, self.part, self.block = flows, kept, part, kept.block(part)
        self.pulls, self.size = kept.pulls.shape[2], flows.shape.size
        block, pulls, size = self.block, self.pulls, self.size
        # [-dR; dY]: the first rows are filled behind the way.
        self.d_out = block.moved.new_empty(*block.rows.shape[:2], block.moved.shape[-1])
        for index, d_y in enumerate(d_found):
            at = pulls + index * size
            self.d_out[:, at : at + size] = d_y
        d_y = self.d_out[:, pulls:]
        self.d_moved = block.met[:, pulls:].mT @ d_y
        self.d_start = (d_y.mT @ block.rows[:, pulls:]).view_as(kept.states[part])

    def walk(self, d_state: Tensor) -> Tensor:
        """Work chunk by chunk; return the gradient of the state before the block."""
        kept, part, pulls = self.kept, self.part, self.pulls
        places = d_state.new_empty(len(self.d_start) + 1, *d_state.shape)
        places[-1] = d_state
        self.d_after = places[1:]  # D'
        self.faded = torch.empty_like(self.d_start)  # D̄
        d_moved = self.d_moved.view_as(kept.moved[part])
        each = (
            self.d_start,
            places[:-1],
            self.d_after,
            self.faded,
            d_moved,
            d_moved[:, :, :pulls],
            kept.pulls[part],
            kept.columns[part],
            kept.fades[part][:, :, -1:],
        )
        steps = list(zip(*(x.unbind() for x in each), strict=True))
        for start, before, after, faded, d_chunk, d_pulling, pull, column, end in reversed(steps):
            torch.mul(after, end, out=faded)
            add_product(d_chunk, column, faded.mT)
            torch.add(start, faded, out=before)
            if pulls:
                add_product(before, d_pulling.mT, pull, alpha=-1)
        if pulls:
            d_right = self.block.inverses.mT @ self.d_moved[:, :pulls]
            torch.neg(d_right, out=self.d_out[:, :pulls])
        return places[0]

    def finish(self, after: Tensor, targets: Targets) -> None:
        """Fill in the gradient of each flow that wants one."""
        block, pulls, faded = self.block, self.pulls, self.faded.flatten(0, 1)
        d_met = (self.d_out @ block.moved.mT).mul_(self.flows.mask)
        d_rows = torch.baddbmm(self.d_out @ block.states, d_met, block.columns)
        d_columns = torch.baddbmm(block.moved @ faded, d_met.mT, block.rows)
        self._fade(after, d_rows, d_columns, targets[0])
        self._flows(d_rows, d_columns, targets)
        over, told, free = self.flows.shape.over, targets[4], targets[6]
        if told is not None:
            torch.neg(over(self.d_out[:, :pulls]), out=told)
        if free is not None:
            d_values = self.d_moved[:, pulls:]
            if pulls:  # into a new one: products into a part of another go one by one
                given = block.met[:, :pulls, pulls:].mT
                d_values = torch.baddbmm(d_values, given, self.d_out[:, :pulls])
            free.copy_(over(d_values))

    def _flows(self, d_rows: Tensor, d_columns: Tensor, targets: Targets) -> None:
        """Return, of keys, queries and rates, the gradients of rows and columns times what scaled
        them.
        """
        flows, block, pulls, size = self.flows, self.block, self.pulls, self.size
        over, inverse = flows.shape.over, block.decay.reciprocal()
        d_x, *d_q = d_rows.split((pulls, *[size] * len(flows.queries)), 1)
        d_y, d_z = d_columns.split((pulls, d_columns.shape[1] - pulls), 1)
        found = [
            (targets[1], d_x, flows.scale(self.part, block)),
            (targets[3], d_y, inverse),
            (targets[5], d_z, inverse),
        ]
        for target, d_query, at in zip(targets[7:], d_q, flows.moments, strict=True):
            wide = None if target is None else target.unsqueeze(-2)
            found.append((wide, d_query, block.decay if at == "after" else block.start))
        for target, gradient, factor in found:
            if target is not None:
                torch.mul(over(gradient), over(factor), out=target)
        if targets[2] is not None:
            met = over(d_x).mul(flows.pulled[self.part]).mul_(over(block.start))
            torch.sum(met, -1, keepdim=True, out=targets[2])

    def _fade(
        self, after: Tensor, d_rows: Tensor, d_columns: Tensor, d_alpha: Tensor | None
    ) -> None:
        """Return the gradient of the retention."""
        if d_alpha is None:
            return
        block, over, alpha = self.block, self.flows.shape.over, self.flows.alpha[self.part]
        # Of log F_0, which is 0, to log F_C.
        d_fade = torch.zeros_like(block.fades)
        d_fade[:, 1:] -= self._positions(block.columns * d_columns)
        parts = (block.rows * d_rows).split((self.pulls, *[self.size] * len(self.flows.queries)), 1)
        for read, at in zip(parts[1:], self.flows.moments, strict=True):
            (d_fade[:, 1:] if at == "after" else d_fade[:, :-1]).add_(read)
        if self.pulls:
            d_fade[:, :-1] += over(parts[0]).sum(-2).flatten(0, 2)
        d_fade[:, -1] += (self.d_after * after).sum(-2).flatten(0, 1)
        d_logs = torch.bmm(self.flows.lower.mT.expand(len(d_fade), -1, -1), d_fade)
        torch.div(over(d_logs), alpha.unsqueeze(-2), out=d_alpha.unsqueeze(-2))

    def _positions(self, x: Tensor) -> Tensor:
        """Return columns summed over the events of a position, (m·G, C, D)."""
        parts, over = x.split((self.pulls, x.shape[1] - self.pulls), 1), self.flows.shape.over
        one, other = (over(part).sum(-2) for part in parts)
        return one.add_(other).flatten(0, 2)
