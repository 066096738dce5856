"""What the momentum becomes before it is added to the state (§5, `direction`)."""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.language.system import Rule
from nestgraph.reference.nets import is_matrix

QUINTIC = (3.4445, -4.7750, 2.0315)  # of Muon: singular values end near 1, between 0.5 and 1.5
TINY = 1e-7


def direction(rule: Rule, momentum: Tensor) -> Tensor:
    """Return D(S): S itself, or its orthogonalised form; biases stay as they are."""
    if rule.direction == "gradient" or not is_matrix(momentum):
        return momentum
    return newton_schulz(momentum, rule.direction_steps)


def newton_schulz(matrix: Tensor, steps: int) -> Tensor:
    """Return X ← aX + (b XXᵀ + c (XXᵀ)²) X, `steps` times from X = S/‖S‖; on the transpose if
    tall.
    """
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    a, b, c = QUINTIC
    x = x / (_norm(x) + TINY)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: Tensor = x.mT if tall else x
    return orthogonal


def _norm(matrix: Tensor) -> Tensor:
    """Return ‖S‖, (..., 1, 1). It has no slope at zero, and PyTorch's no second one: both are
    zero.
    """
    still = (matrix == 0).all(-1, keepdim=True).all(-2, keepdim=True)
    norm = torch.linalg.matrix_norm(torch.where(still, 1.0, matrix), keepdim=True)
    return torch.where(still, 0.0, norm)
