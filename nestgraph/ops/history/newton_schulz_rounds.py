"""Newton–Schulz on a block of matrices that stays in the cache, and its derivative by hand.

A round is X' = X U with U = aI + bA + cA², A = XᵀX. Of a gradient D at X', with K = XᵀD + DᵀX:

    E = bK + c(KA + AK),   gradient at X = D U + X E

All of it is products of small matrices, which a CPU does at the speed of large ones while they
stay in its cache; written out for a whole segment, and kept for a backward by autograd, fetching
them costs four times the arithmetic. So blocks are run one by one in buffers that serve again,
and the backward runs a block forward once more.

Legend: N matrices of a block, R rows and D ≤ R columns.
FLOPs a matrix and round: 4RD² + 2D³ forward; backward that again and 8RD² + 4D³.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

A, B, C = 3.4445, -4.7750, 2.0315
FLOOR = 1e-7

BLOCK = 1 << 16
"""Numbers of a block on a CPU: large enough to hide the calls, small enough for its cache."""


def blocks(x: Tensor, matrices: int) -> Iterator[slice]:
    """Cut the first axis of (G, ...) so that a block of (matrices, R, D) each is small."""
    groups, size = len(x), max(1, len(x))
    if x.device.type == "cpu":
        size = max(1, BLOCK // (matrices * x.shape[-2] * x.shape[-1]))
    for begin in range(0, groups, size):
        yield slice(begin, min(begin + size, groups))


class Rounds:
    """The iteration on blocks of at most as many matrices as the first one has."""

    def __init__(self, first_NRD: Tensor, steps: int, *, keeps: bool) -> None:
        """Make the buffers.

        Args:
            first_NRD: the first block, the largest one.
            steps: rounds, at least one.
            keeps: whether `back` will be asked for.
        """
        _, rows, columns = first_NRD.shape
        slots = steps if keeps else 1
        self.steps = steps
        self.x = self._buffers(first_NRD, max(2, slots), rows, columns)
        self.grams = self._buffers(first_NRD, slots, columns, columns)
        self.factors = self._buffers(first_NRD, slots, columns, columns)
        if keeps:
            self.d_x = self._buffers(first_NRD, 2, rows, columns)
            self.d_grams = self._buffers(first_NRD, 2, columns, columns)

    def run(self, s_NRD: Tensor, out_NRD: Tensor | None = None) -> None:
        """Orthogonalise a block; without `out`, only as far as `back` needs."""
        self.count = len(s_NRD)
        x, gram, factor = self._at(0)
        torch.bmm(s_NRD.mT, s_NRD, out=gram)
        self.norm = gram.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt_().view(-1, 1, 1)
        self.over = (self.norm + FLOOR).reciprocal_()
        torch.mul(s_NRD, self.over, out=x)
        gram.mul_(self.over.square())
        for step in range(self.steps):
            torch.baddbmm(gram, gram, gram, beta=B, alpha=C, out=factor)
            factor.diagonal(dim1=-2, dim2=-1).add_(A)
            if step == self.steps - 1:
                break
            above, gram, above_factor = self._at(step + 1)
            x, factor = torch.bmm(x, factor, out=above), above_factor
            torch.bmm(x.mT, x, out=gram)
        if out_NRD is not None:
            torch.bmm(x, factor, out=out_NRD)

    def back(self, d_out_NRD: Tensor, d_s_NRD: Tensor) -> None:
        """Return, of a gradient at the block's result, the one at what `run` was given."""
        d = d_out_NRD
        both, slope = self._cut(self.d_grams)
        unders = self._cut(self.d_x)
        for step in range(self.steps - 1, -1, -1):
            x, gram, factor = self._at(step)
            torch.bmm(x.mT, d, out=both).baddbmm_(d.mT, x)
            torch.baddbmm(both, both, gram, beta=B, alpha=C, out=slope)
            slope.baddbmm_(gram, both, alpha=C)
            d = torch.bmm(d, factor, out=unders[step % 2]).baddbmm_(x, slope)
        # s over its norm n + floor: the norm's slope is s/n, and 0 where s is.
        along = (x * d).sum((-2, -1), keepdim=True)
        along = torch.where(self.norm > 0, along / self.norm, 0.0)
        torch.mul(d, self.over, out=d_s_NRD).addcmul_(x, along, value=-1)

    def _buffers(self, like: Tensor, slots: int, rows: int, columns: int) -> list[Tensor]:
        return [like.new_empty(len(like), rows, columns) for _ in range(slots)]

    def _cut(self, buffers: list[Tensor]) -> list[Tensor]:
        if len(buffers[0]) == self.count:
            return buffers
        return [buffer[: self.count] for buffer in buffers]

    def _at(self, step: int) -> list[Tensor]:
        """Return X, A and U of a round."""
        slots = (self.x, self.grams, self.factors)
        return self._cut([buffers[step % len(buffers)] for buffers in slots])
