"""How a segment moves one layer's W and S, its momentum, and the way back.

    W' = b W + c S - Σ_j D_j u_j a_jᵀ        S' = q S - Σ_j Q_j u_j a_jᵀ

with b, c and D of `decay_matrix.py` and q, Q of momentum alone, all for the segment's last
position. Without momentum there is W alone.

Legend: M members (the outermost axis here), G = M·B·H matrices, J events, I and O widths in front
of a layer and behind it.
FLOPs an event and number of W, with momentum: 4, and 12 back. Bytes: each matrix is read and
written twice forward, about five times back, mostly in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 2**18  # numbers of the matrices that are taken through a step together: a mebibyte
LARGE = 2**13  # numbers of a matrix from which a call for each is quicker than a product in memory


class Left(NamedTuple):
    """What is left at the segment's end.

    Attributes:
        starts: b of W; with momentum also c and q: (1 or 3, G, 1, 1).
        events: D of every event; with momentum also Q: (1 or 2, G, J, 1).
    """

    starts: Tensor
    events: Tensor


class NewMatrix(NamedTuple):
    """The gradient of new matrices (G, O, I), and whether it may be written to."""

    gradient: Tensor
    ours: bool

    @property
    def place(self) -> Tensor:
        """Return where the gradient of the old ones goes, once this one has been read."""
        return self.gradient if self.ours else torch.empty_like(self.gradient)


class Back(NamedTuple):
    """Gradients.

    Attributes:
        inputs: of a, (G, J, I).
        writes: of u, (G, J, O).
        starts: of what is left of W and S, (1 or 3, G).
        ends: of what is left of events, (1 or 2, G, J).
        parts: of W, and S.
    """

    inputs: Tensor
    writes: Tensor
    starts: Tensor
    ends: Tensor
    parts: tuple[Tensor, ...]


def moved(parts: list[Tensor], a_GJI: Tensor, u_GJO: Tensor, left: Left) -> list[Tensor]:
    """Return W', and S' if there is S."""
    weights, *speed = parts
    starts, pushes = left.starts, [(u_GJO * of_event).mT for of_event in left.events]
    new = [torch.empty_like(part) for part in parts]
    for n in _blocks(weights):
        torch.mul(weights[n], starts[0][n], out=new[0][n])
        if speed:
            new[0][n].addcmul_(speed[0][n], starts[1][n])
            torch.mul(speed[0][n], starts[2][n], out=new[1][n])
        for matrix, push in zip(new, pushes, strict=True):
            matrix[n].baddbmm_(push[n], a_GJI[n], alpha=-1)
    return new


def back(
    parts: list[Tensor], a_GJI: Tensor, u_GJO: Tensor, left: Left, new: list[NewMatrix]
) -> Back:
    """Carry gradients back through `moved`, line by line."""
    pushes = [u_GJO * of_event for of_event in left.events]
    through, places = [torch.empty_like(u_GJO) for _ in parts], [one.place for one in new]
    d_a, dots = torch.empty_like(a_GJI), []
    for n in _blocks(parts[0]):
        for index, one in enumerate(new):
            torch.bmm(a_GJI[n], one.gradient[n].mT, out=through[index][n])
            d_a[n].baddbmm_(pushes[index][n], one.gradient[n], beta=int(index > 0), alpha=-1)
        gradients, old = [one.gradient[n] for one in new], [part[n] for part in parts]
        dots.append(_dots(old, gradients))
        _through_starts(gradients, left.starts[:, n], [place[n] for place in places])
    ends = torch.stack([(u_GJO * x).sum(-1) for x in through]).neg_()
    d_u = through[0].mul_(left.events[0]).neg_()
    if len(parts) == 2:
        d_u.addcmul_(through[1], left.events[1], value=-1)
    return Back(d_a, d_u, torch.cat(dots, 1), ends, tuple(places))


def _dots(old: list[Tensor], gradients: list[Tensor]) -> Tensor:
    """Return gradients of b, c and q of a block, (1 or 3, G)."""
    dots = [_dot(part, gradients[0]) for part in old]
    dots += [_dot(old[1], gradients[1])] if len(old) == 2 else []
    return torch.stack(dots)


def _through_starts(gradients: list[Tensor], starts: Tensor, into: list[Tensor]) -> None:
    """Compute gradients of a block's W and S, perhaps in the place of those of W' and S'."""
    if len(gradients) == 2:
        torch.mul(gradients[1], starts[2], out=into[1]).addcmul_(gradients[0], starts[1])
    torch.mul(gradients[0], starts[0], out=into[0])


def _blocks(x_GOI: Tensor) -> list[slice]:
    """Return matrices that stay in the processor's cache through all passes over them."""
    count = max(1, BLOCK // x_GOI[0].numel())
    return [slice(first, first + count) for first in range(0, len(x_GOI), count)]


def _dot(x_GOI: Tensor, y_GOI: Tensor) -> Tensor:
    """Return Σ x y of every matrix, (G,)."""
    if x_GOI[0].numel() < LARGE:
        return (x_GOI * y_GOI).sum((1, 2))
    pairs = zip(x_GOI.flatten(1), y_GOI.flatten(1), strict=True)
    return torch.stack([torch.dot(x, y) for x, y in pairs])
