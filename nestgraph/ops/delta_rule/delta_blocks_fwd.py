"""Chunks of a linear memory, a few at a time, so that all that a step touches lies in the cache.

From the state A before a chunk, with K, V, Q of its positions, c the pull and η' = η scale:

    U = (I + L)^-1 η' V - W Aᵀ,   W = (I + L)^-1 (c b_prev K),   L = c (P_prev ∘ K Kᵀ)
    A' = b_C A + Uᵀ P_C K
    Y = b Q Aᵀ + (P ∘ Q Kᵀ) U

where P and b are what is left of an event and of the start (`_prev`: one position earlier).
Without c, U is η' V. What no state is in is worked out for a *block* of chunks at once; then the
chunks of the block follow one another. The backward walks the blocks the other way, finds U, W, the
inverses and the states, and works the rest out again.

Legend: G = B·H groups, N chunks of C positions, n events a position, R = C·n, D key width,
E value width; m chunks of a block. Chunks are the first axis, so that one chunk of all groups is
one batch of products; flows are read from, and answers written to, (B, T, H, width) as they lie.
FLOPs a chunk and group: 2 R² D for K Kᵀ, R³/3 for the inverse, 2 R² (D + E) for U and W; 4 R D E
for U and A'; a read takes 2 C R (D + E) + 2 C D E. Twice all that backward, and K Kᵀ, Q Kᵀ once
more. Bytes, in float32: every flow and its gradient pass once each way; kept are 4 R E (U), 4 R D
(W), 4 R² (inverses) and 4 D E (states).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops.common.triangular import plain_inverse
from nestgraph.ops.history.decay_matrix import earlier

At = Literal["after", "before"]
BLOCK = 1 << 17
"""Numbers of keys and values in a block, for each thread that works on it; with what is made of
them they fill a cache of 2 MB."""


class Paces(NamedTuple):
    """Coefficients, chunk by chunk.

    Attributes:
        rate: η', (N, G, R, 1), or (N, G, R, E) by value.
        pull: c, (N, G, R, 1); None where nothing is taken back.
        events: P, (N, G, C, R).
        whole: b, (N, G, C, 1); None where nothing decays.
    """

    rate: Tensor
    pull: Tensor | None
    events: Tensor
    whole: Tensor | None


class Shape(NamedTuple):
    """B, H, C and n."""

    batch: int
    heads: int
    size: int
    many: int

    def chunks(self, x: Tensor) -> Tensor:
        """Return a flow (B, H, T, ..., width) as a view (N, B, H, C, ..., width)."""
        chunks: Tensor = x.unflatten(2, (-1, self.size)).movedim(2, 0)
        return chunks

    def over(self, x: Tensor) -> Tensor:
        """Return rows of chunks (m·G, R, width) as a view over a flow's (m, B, H, C, n, width)."""
        chunks = len(x) // (self.batch * self.heads)
        return x.view(chunks, self.batch, self.heads, self.size, -1, x.shape[-1])

    def like(self, x: Tensor) -> Tensor:
        """Return an empty flow with the heads of a position side by side."""
        order = (0, 2, 1, *range(3, x.dim()))
        return x.new_empty([x.shape[axis] for axis in order]).transpose(1, 2)

    def block_of(self, keys: Tensor, values: Tensor) -> int:
        """Return how many chunks to take at once; all of them where there is no cache to stay
        in.
        """
        if keys.device.type != "cpu":
            return max(1, keys.shape[2] // self.size)
        rows = self.batch * self.heads * self.size * self.many
        most = BLOCK * torch.get_num_threads()
        return max(1, most // (rows * (keys.shape[-1] + values.shape[-1])))


def filled(shape: Shape, x: Tensor, value: float = 0.0) -> Tensor:
    """Return a flow with positions that do nothing behind it, up to the end of a chunk."""
    missing = -x.shape[2] % shape.size
    return F.pad(x, [0, 0] * (x.dim() - 3) + [0, missing], value=value) if missing else x


def asked_filled(
    shape: Shape,
    reads: Sequence[tuple[Tensor, At]],
    answer: Callable[[list[tuple[Tensor, At]]], tuple[list[Tensor], Tensor]],
) -> tuple[list[Tensor], Tensor]:
    """Return what `answer` makes of queries filled up to whole chunks, and the state that it
    leaves.
    """
    answers, last = answer([(filled(shape, q), at) for q, at in reads])
    return [y[:, :, : q.shape[2]] for y, (q, _) in zip(answers, reads, strict=True)], last


def gathered(chunks: Tensor, part: slice) -> Tensor:
    """Return some chunks of a view (N, B, H, C, ..., width) in one piece, (m·G, R, width)."""
    x = chunks[part]
    return x.reshape(x.shape[0] * x.shape[1] * x.shape[2], -1, x.shape[-1])


class Left(NamedTuple):
    """What decay leaves within the chunks of a block, as matrices to multiply with.

    Attributes:
        after: P (m·G, C, R) and b (m·G, C, 1) or None: for reads that know their position's event.
        before: the same one position earlier.
        met: the rows of `before` once for each event of a position.
        end: P_C (m·G, R, 1).
        whole: b_C (m, G, 1, 1), or None.
    """

    after: tuple[Tensor, Tensor | None]
    before: tuple[Tensor, Tensor | None]
    met: tuple[Tensor, Tensor | None]
    end: Tensor
    whole: Tensor | None


def left_of(paces: Paces, part: slice, many: int) -> Left:
    """Return what is left of one block."""
    events, whole = paces.events[part].flatten(0, 1), None
    if paces.whole is not None:
        whole = paces.whole[part].flatten(0, 1)
    before = (earlier(events, 0.0), None if whole is None else earlier(whole, 1.0))
    return Left(
        (events, whole),
        before,
        (copies(before[0], many), None if before[1] is None else copies(before[1], many)),
        events[:, -1, :, None],
        None if paces.whole is None else paces.whole[part][:, :, -1:, :],
    )


def copies(rows: Tensor, many: int) -> Tensor:
    """Return a position's row for each of its events."""
    return rows if many == 1 else rows.repeat_interleave(many, -2)


def add_product(
    total: Tensor, left: Tensor, right: Tensor, beta: float = 1.0, *, alpha: float = 1.0
) -> Tensor:
    """Return total = beta total + alpha left right; with beta 0 the total may hold anything."""
    return torch.baddbmm(total, left, right, beta=beta, alpha=alpha, out=total)


def scaled(x: Tensor, factor: Tensor | None) -> Tensor:
    """Return x times what is left, if anything decays."""
    return x if factor is None else x * factor


class Kept(NamedTuple):
    """What the forward leaves to the backward.

    Attributes:
        moved: U, (N, G, R, E).
        pulls: W (N, G, R, D), or None without a pull.
        inverses: (I + L)^-1 (N, G, R, R), or None.
        states: A before each chunk, (N, G, E, D).
    """

    moved: Tensor
    pulls: Tensor | None
    inverses: Tensor | None
    states: Tensor


class Forward:
    """One pass over the blocks."""

    def __init__(
        self,
        shape: Shape,
        moments: tuple[At, ...],
        keys: Tensor,
        values: Tensor,
        paces: Paces,
        queries: Sequence[Tensor],
    ) -> None:
        self.shape, self.moments, self.paces = shape, moments, paces
        self.block = shape.block_of(keys, values)
        self.keys, self.values = shape.chunks(keys), shape.chunks(values)
        self.queries = [shape.chunks(q) for q in queries]
        chunks, groups, rows = self.keys.shape[0], shape.batch * shape.heads, paces.rate.shape[2]
        width, high = keys.shape[-1], values.shape[-1]
        new = keys.new_empty
        self.kept = Kept(
            new(chunks, groups, rows, high),
            None if paces.pull is None else new(chunks, groups, rows, width),
            None if paces.pull is None else new(chunks, groups, rows, rows),
            new(chunks, groups, high, width),
        )
        self.answers = [shape.like(q[..., :1].expand(*q.shape[:-1], high)) for q in queries]
        self.targets = [shape.chunks(y) for y in self.answers]

    def run(self, first_BHED: Tensor) -> Tensor:
        """Fill `answers` and `kept`; the state behind the last chunk."""
        states, chunks = self.kept.states, len(self.kept.states)
        last = torch.empty_like(states[0])
        (states[0] if chunks else last).copy_(first_BHED.reshape(last.shape))
        for begin in range(0, chunks, self.block):
            self._run_block(slice(begin, min(begin + self.block, chunks)), last)
        return last.view(first_BHED.shape)

    def _run_block(self, part: slice, last: Tensor) -> None:
        left = left_of(self.paces, part, self.shape.many)
        keys = gathered(self.keys, part)
        moved = self.kept.moved[part]
        fed = (moved if self.paces.pull is None else torch.empty_like(moved)).flatten(0, 1)
        over, rate = self.shape.over, self.paces.rate[part].flatten(0, 1)
        torch.mul(self.values[part], over(rate), out=over(fed))
        if self.paces.pull is not None:
            self._solve(part, left, keys, fed)
        self._walk(part, (keys * left.end).view(*moved.shape[:3], -1), left.whole, last)
        states = self.kept.states[part].flatten(0, 1)
        for query, target, at in zip(self.queries, self.targets, self.moments, strict=True):
            fades, start = left.after if at == "after" else left.before
            asked = gathered(query, part)
            scores = (asked @ keys.mT).mul_(fades)
            found = torch.bmm(scores, moved.flatten(0, 1))
            add_product(found, scaled(asked, start), states.mT)
            target[part] = found.view(target[part].shape)

    def _solve(self, part: slice, left: Left, keys: Tensor, fed: Tensor) -> None:
        """Solve for the inverses, W, and U as it would be from an empty state."""
        assert self.paces.pull is not None
        assert self.kept.pulls is not None
        assert self.kept.inverses is not None
        pull = self.paces.pull[part].flatten(0, 1)
        inverse = plain_inverse((keys @ keys.mT).mul_(left.met[0]).mul_(pull))
        self.kept.inverses[part].copy_(inverse.view_as(self.kept.inverses[part]))
        pulled = keys * scaled(pull, left.met[1])
        torch.bmm(inverse, pulled, out=self.kept.pulls[part].flatten(0, 1))
        torch.bmm(inverse, fed, out=self.kept.moved[part].flatten(0, 1))

    def _walk(self, part: slice, ends: Tensor, whole: Tensor | None, last: Tensor) -> None:
        """Compute U and the states, chunk by chunk."""
        moved, states = self.kept.moved[part], self.kept.states[part.start : part.stop + 1]
        places = [*states.unbind(), *([] if len(states) > len(moved) else [last])]
        nothing = [None] * len(moved)
        pulls = nothing if self.kept.pulls is None else self.kept.pulls[part].unbind()
        fades = nothing if whole is None else whole.unbind()
        steps = zip(places, places[1:], moved.unbind(), ends.unbind(), pulls, fades, strict=False)
        for state, after, u, key, pull, decay in steps:
            if pull is not None:
                add_product(u, pull, state.mT, alpha=-1)
            if decay is None:
                torch.baddbmm(state, u.mT, key, out=after)
            else:
                add_product(torch.mul(state, decay, out=after), u.mT, key)
