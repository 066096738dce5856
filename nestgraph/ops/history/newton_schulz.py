"""Newton–Schulz: a matrix made nearly orthogonal by matrix products alone (Muon's quintic).

X ← X(aI + bA + cA²) with A = XᵀX, on the shorter side, so that k steps on an (m, n) matrix with
m ≥ n take k·(4mn² + 2n³) FLOPs. Singular values end between about 0.7 and 1.2, not exactly at 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nestgraph.ops.history.newton_schulz_rounds import FLOOR, A, B, C, Rounds, blocks

__all__ = ["FLOOR", "A", "B", "C", "newton_schulz", "quintic"]


def newton_schulz(x: Tensor, steps: int = 5) -> Tensor:
    """Orthogonalise (..., m, n) matrices, each over its own Frobenius norm plus 1e-7.

    Its backward runs the iteration again, block by block, and keeps nothing but x: 3 products a
    step forward, 9 backward (`newton_schulz_rounds.py`).
    """
    if x.shape[-2] < x.shape[-1]:
        return newton_schulz(x.mT, steps).mT
    y: Tensor = _NewtonSchulz.apply(x, steps)  # type: ignore[no-untyped-call]
    return y


def quintic(x: Tensor, steps: int) -> Tensor:
    """Return the iteration itself on (..., m, n) matrices of norm 1 or less, by differentiable
    tools.
    """
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    shape = x.shape
    x = x.reshape(-1, *shape[-2:])
    again = not (torch.is_grad_enabled() and x.requires_grad)
    gram = update = spare = None
    for step in range(steps):
        # Fresh memory costs as much as a pass: where nobody differentiates, a product takes the
        # place of the last one of its kind. The caller's matrices stay as they are.
        gram = torch.bmm(x, x.mT, out=gram if again else None)
        update = torch.baddbmm(gram, gram, gram, beta=B, alpha=C, out=update if again else None)
        # (A + update) X in place of A X + update X: one pass over X less.
        update.diagonal(dim1=-2, dim2=-1).add_(A)
        moved = torch.bmm(update, x, out=spare)
        x, spare = moved, x if again and step else None
    x = x.reshape(shape)
    return x.mT if tall else x


def _norm(x: Tensor) -> Tensor:
    """Return Frobenius norms (..., 1, 1), whose derivatives are zero at zero: of PyTorch's, the
    second isn't a number there, and a weight that nothing depends on yet has a gradient of
    zero.
    """
    zero = (x == 0).all(-1, keepdim=True).all(-2, keepdim=True)
    norm: Tensor = torch.linalg.matrix_norm(x.masked_fill(zero, 1.0), keepdim=True)
    return norm.masked_fill(zero, 0.0)


class _NewtonSchulz(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: int) -> Tensor:
        ctx.steps = steps
        ctx.save_for_backward(x)
        flat = x.reshape(-1, *x.shape[-2:])
        y, rounds = torch.empty_like(flat, memory_format=torch.contiguous_format), None
        for some in blocks(flat, 1):
            rounds = rounds or Rounds(flat[some], steps, keeps=False)
            rounds.run(flat[some], y[some])
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of this gradient are wanted: it must know x
            y = quintic(x / (_norm(x) + FLOOR), ctx.steps)
            (d_x,) = torch.autograd.grad(y, x, grad, create_graph=True)
            return d_x, None
        flat, d_y = x.reshape(-1, *x.shape[-2:]), grad.reshape(-1, *x.shape[-2:])
        d_flat, rounds = torch.empty_like(flat, memory_format=torch.contiguous_format), None
        for some in blocks(flat, 1):
            rounds = rounds or Rounds(flat[some], ctx.steps, keeps=True)
            rounds.run(flat[some])
            rounds.back(d_y[some], d_flat[some])
        return d_flat.view(x.shape), None
