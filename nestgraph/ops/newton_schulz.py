"""Newton–Schulz: a matrix made nearly orthogonal by matrix products alone (Muon's quintic).

X ← aX + (bA + cA²)X with A = XXᵀ, on the shorter side, so that k steps on an (m, n) matrix with
m ≤ n take k·(4m²n + 2m³) FLOPs and read and write about 3k·mn + 3k·m² numbers. Singular values
end between about 0.7 and 1.2, not exactly at 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

A, B, C = 3.4445, -4.7750, 2.0315
FLOOR = 1e-7


def newton_schulz(x: Tensor, steps: int = 5) -> Tensor:
    """Orthogonalises (..., m, n) matrices, each over its own Frobenius norm plus 1e-7."""
    norm = torch.linalg.matrix_norm(x, keepdim=True)
    return quintic(x / (norm + FLOOR), steps)


def quintic(x: Tensor, steps: int) -> Tensor:
    """The iteration itself on (..., m, n) matrices of norm 1 or less."""
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    shape = x.shape
    x = x.reshape(-1, *shape[-2:])
    for _ in range(steps):
        gram = x @ x.mT
        update = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        # (A + update) X in place of A X + update X: one pass over X less.
        update.diagonal(dim1=-2, dim2=-1).add_(A)
        x = update @ x
    x = x.reshape(shape)
    return x.mT if tall else x
