"""What moves of memories tell a person: how often, how far, and how large the gradient was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nestgraph import ops

Parts = tuple[Tensor, ...]


class LastMove(NamedTuple):
    """The last move of a memory, whose size costs nothing until somebody asks.

    Attributes:
        slopes: the gradient behind it.
        scale: what that was multiplied by, if this was all of the move; else None, and then
        old: the weights before, and
        new: those behind it.
    """

    slopes: tuple[ops.Slope, ...]
    scale: float | None
    old: Parts = ()
    new: Parts = ()

    @classmethod
    def of(cls, old: Parts, new: Parts, slopes: tuple[ops.Slope, ...], scale: float | None) -> Self:
        """Return a move; keeps no more of it than it must."""
        slopes = tuple(s.detach() if isinstance(s, Tensor) else s for s in slopes)
        if scale is not None:
            return cls(slopes, scale)
        return cls(slopes, None, _constants(old), _constants(new))

    @property
    def step(self) -> Tensor:
        """The square of its length."""
        if self.scale is not None:
            return self.surprise * self.scale**2
        return _square(map(torch.sub, self.new, self.old))

    @property
    def surprise(self) -> Tensor:
        """The square of the gradient behind it."""
        return _square(self.slopes)


class Moves(NamedTuple):
    """What one level has done; squares of norms are means over memories and rows.

    Attributes:
        updates: how often it has moved.
        square: of its weights as they are.
        moved: of its last step; 0 if none was taken in this process.
        surprise: of the gradient behind that step.
    """

    updates: int
    square: float
    moved: float
    surprise: float


def moves_of_level(weights: Sequence[Parts], last: Sequence[LastMove], updates: int) -> Moves:
    """Return what a level has done, from its memories' weights and their last moves."""
    count = len(weights) * len(weights[0][0])
    return Moves(
        updates=updates,
        square=_mean([_square(parts) for parts in weights], count),
        moved=_mean([one.step for one in last], count),
        surprise=_mean([one.surprise for one in last], count),
    )


def _constants(parts: Parts) -> Parts:
    return tuple(part.detach() for part in parts)


def _square(parts: Iterable[ops.Slope]) -> Tensor:
    """Return the sum of all squares, without a copy of them."""
    squares = [
        torch.linalg.vector_norm(part.detach()).square()
        if isinstance(part, Tensor)
        else part.square()
        for part in parts
    ]
    return torch.stack(squares).sum()


def _mean(squares: Sequence[Tensor], count: int) -> float:
    return float(torch.stack(list(squares)).sum()) / count if squares else 0.0
