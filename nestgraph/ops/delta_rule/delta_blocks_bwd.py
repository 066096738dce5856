"""The way back of `delta_blocks`: block by block, from the last to the first.

With D' the gradient of the state behind a chunk and everything else as there:

    dU = (P ∘ Q Kᵀ)ᵀ dY + P_C K D'ᵀ,   dR = (I + L)^-ᵀ dU,   dL = -dR Uᵀ (strictly lower)
    D = b_C D' + (b dY)ᵀ Q - dUᵀ W
    dQ = ((dY Uᵀ) ∘ P) K + b dY A,   dV = η' dR
    dK = ((dY Uᵀ) ∘ P)ᵀ Q + P_C U D' - c b_prev dR A + (M + Mᵀ) K,   M = c (P_prev ∘ dL)

and the coefficients' gradients are the same products summed over what they multiply.

Legend: as in `delta_blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nestgraph.ops.delta_rule.delta_blocks_fwd import (
    Kept,
    Left,
    Paces,
    Shape,
    add_product,
    gathered,
    left_of,
    scaled,
)


class Backward:
    """One pass over the blocks; the gradients are its attributes.

    Args:
        shape: the axes.
        moments: `after` or `before`, for each read.
        flows: keys, values and queries.
        paces: coefficients.
        kept: what the forward left.
        d_answers: gradients of the answers.
        needs: which of the coefficients want a gradient.
    """

    def __init__(
        self,
        shape: Shape,
        moments: tuple[str, ...],
        flows: tuple[Tensor, Tensor, Sequence[Tensor]],
        paces: Paces,
        kept: Kept,
        d_answers: Sequence[Tensor],
        *,
        needs: Sequence[bool],
    ) -> None:
        keys, values, queries = flows
        self.shape, self.moments, self.paces, self.kept = shape, moments, paces, kept
        self.block = shape.block_of(keys, values)
        self.keys, self.values = shape.chunks(keys), shape.chunks(values)
        self.queries = [shape.chunks(q) for q in queries]
        self.d_answers = [shape.chunks(y) for y in d_answers]
        self.d_keys, self.d_values = shape.like(keys), shape.like(values)
        self.d_queries = [shape.like(q) for q in queries]
        self.d_paces = [
            None if pace is None or not need else pace.new_empty(pace.shape)
            for pace, need in zip(paces, needs, strict=True)
        ]

    def run(self, d_last: Tensor) -> Tensor:
        """Fill the gradients; that of the first state."""
        chunks = len(self.kept.states)
        d_state = d_last.reshape(-1, *d_last.shape[-2:])
        for end in range(chunks, 0, -self.block):
            d_state = self._run_block(slice(max(0, end - self.block), end), d_state)
        return d_state.view(d_last.shape)

    def _run_block(self, part: slice, d_state: Tensor) -> Tensor:
        block = _Block(self, part)
        if not self.queries:
            block.clear()
        for index in range(len(self.queries)):
            block.ask(index)
        d_state = block.walk(d_state)
        block.finish()
        return d_state


class _Block:
    """The gradients of one block."""

    def __init__(self, whole: Backward, part: slice) -> None:
        self.of, self.part = whole, part
        self.left: Left = left_of(whole.paces, part, whole.shape.many)
        self.keys = gathered(whole.keys, part)
        self.moved = whole.kept.moved[part]
        self.states = whole.kept.states[part]
        self.pull = whole.paces.pull
        if self.pull is not None:
            self.pull = self.pull[part].flatten(0, 1)
        self.d_moved = torch.empty_like(self.moved)
        self.d_states = self.states.new_empty(len(self.states) + 1, *self.states.shape[1:])
        self.d_keys = torch.empty_like(self.keys)
        self.d_events: Tensor | None = None
        self.d_whole: Tensor | None = None
        if whole.d_paces[2] is not None:
            self.d_events = torch.zeros_like(self.left.after[0])
            self.d_whole = torch.zeros_like(self.d_events[..., :1])

    def clear(self) -> None:
        """Begin with nothing, where no read does."""
        for total in (self.d_moved, self.d_states, self.d_keys):
            total.zero_()

    def ask(self, index: int) -> None:
        """Carry a gradient back through one read."""
        of, part = self.of, self.part
        after = of.moments[index] == "after"
        fades, start = self.left.after if after else self.left.before
        asked, d_found = gathered(of.queries[index], part), gathered(of.d_answers[index], part)
        states = self.states.flatten(0, 1)
        scores = asked @ self.keys.mT
        first = 0.0 if index == 0 else 1.0
        add_product(self.d_moved.flatten(0, 1), (scores * fades).mT, d_found, first)
        add_product(self.d_states[:-1].flatten(0, 1), d_found.mT, scaled(asked, start), first)
        d_scores = d_found @ self.moved.flatten(0, 1).mT
        met = d_found @ states
        if self.d_events is not None:
            assert self.d_whole is not None
            _add(self.d_events, d_scores * scores, after=after)
            _add(self.d_whole, (met * asked).sum(-1, keepdim=True), after=after)
        d_scores.mul_(fades)
        add_product(self.d_keys, d_scores.mT, asked, first)
        met = met if start is None else met.mul_(start)
        target = of.shape.chunks(of.d_queries[index])[part]
        target.copy_(add_product(met, d_scores, self.keys).view(target.shape))

    def walk(self, d_state: Tensor) -> Tensor:
        """Return gradients of U and of the states, chunk by chunk; that of the state before the
        block.
        """
        kept, whole, nothing = self.of.kept, self.left.whole, [None] * len(self.moved)
        ends = (self.keys * self.left.end).view(*self.moved.shape[:3], -1)
        self.d_states[-1] = d_state
        pulls = nothing if kept.pulls is None else kept.pulls[self.part].unbind()
        fades = nothing if whole is None else whole.unbind()
        places = self.d_states.unbind()
        steps = zip(
            places[:-1],
            places[1:],
            self.d_moved.unbind(),
            ends.unbind(),
            pulls,
            fades,
            strict=True,
        )
        for state, after, d_u, key, pull, decay in reversed(list(steps)):
            add_product(d_u, key, after.mT)
            if decay is None:
                state.add_(after)
            else:
                state.addcmul_(after, decay)
            if pull is not None:
                add_product(state, d_u.mT, pull, alpha=-1)
        self.d_fed = self.d_moved
        if kept.inverses is not None:
            self.d_fed = kept.inverses[self.part].mT @ self.d_moved
        return places[0]

    def finish(self) -> None:
        """Carry gradients back through what is left: keys, values, coefficients."""
        of, part, moved = self.of, self.part, self.moved.flatten(0, 1)
        d_moved, d_after = self.d_fed.flatten(0, 1), self.d_states[1:].flatten(0, 1)
        fed = moved @ d_after
        if self.d_events is not None and self.d_whole is not None and self.left.whole is not None:
            self.d_events[:, -1] += (fed * self.keys).sum(-1)
            self.d_whole[:, -1, 0] += (self.d_states[1:] * self.states).sum((-2, -1)).flatten()
        self.d_keys.addcmul_(fed, self.left.end)
        if self.pull is not None:
            self._pull(moved, d_moved)
        target = of.shape.chunks(of.d_keys)[part]
        target.copy_(self.d_keys.view(target.shape))
        rate, d_fed = of.paces.rate[part].flatten(0, 1), of.shape.over(d_moved)
        target = of.shape.chunks(of.d_values)[part]
        torch.mul(d_fed, of.shape.over(rate), out=target)
        d_rate, _, d_events, d_whole = of.d_paces
        if d_rate is not None:
            products = (d_fed * of.values[part]).view_as(self.d_fed)
            d_rate[part] = products if d_rate.shape[-1] > 1 else products.sum(-1, keepdim=True)
        if d_events is not None and self.d_events is not None:
            d_events[part] = self.d_events.view_as(d_events[part])
        if d_whole is not None and self.d_whole is not None:
            d_whole[part] = self.d_whole.view_as(d_whole[part])

    def _pull(self, moved: Tensor, d_moved: Tensor) -> None:
        """Carry gradients back through what the events erase."""
        assert self.pull is not None
        fades, start = self.left.met
        seen = d_moved @ self.states.flatten(0, 1)
        d_met = (seen * self.keys).sum(-1, keepdim=True)  # of -c b_prev
        self.d_keys.addcmul_(seen, scaled(self.pull, start), value=-1)
        d_lower = d_moved @ moved.mT  # of -L
        grams = self.keys @ self.keys.mT
        faded = d_lower * fades
        d_pull = self.of.d_paces[1]
        if d_pull is not None:
            found = (faded * grams).sum(-1, keepdim=True).add_(scaled(d_met, start))
            d_pull[self.part] = found.neg_().view_as(d_pull[self.part])
        if self.d_events is not None:
            assert self.d_whole is not None
            many = self.of.shape.many
            d_fades = d_lower.mul_(grams).mul_(self.pull).neg_()
            _add(self.d_events, _summed(d_fades, many), after=False)
            _add(self.d_whole, _summed((d_met * self.pull).neg_(), many), after=False)
        faded.mul_(self.pull)
        add_product(self.d_keys, faded + faded.mT, self.keys, alpha=-1)


def _add(total: Tensor, rows: Tensor, *, after: bool) -> None:
    """Add gradients of rows as they are, or of the rows one position earlier."""
    if after:
        total.add_(rows)
    else:
        total[:, :-1].add_(rows[:, 1:])


def _summed(rows: Tensor, many: int) -> Tensor:
    """Sum over the events of a position."""
    return rows if many == 1 else rows.unflatten(-2, (-1, many)).sum(-2)
