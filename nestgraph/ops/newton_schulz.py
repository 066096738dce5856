"""Orthogonalisation by Newton-Schulz iterations (Muon, Jordan 2024; arXiv 2505.23735 for memories).

Legend: E rows and D columns of a matrix, r = min(E, D), c = max(E, D).
"""

from __future__ import annotations

from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that Muon chose: steep at 0
EPS = 1e-7  # added to the Frobenius norm


def newton_schulz(x_ED: Tensor, steps: int = 5) -> Tensor:
    """U Vᵀ of a matrix U S Vᵀ, nearly: singular values end within about 0.7 and 1.2.

    Works in the given dtype; learning flows through every step. Costs steps · (4 r² c + 2 r³)
    FLOPs a matrix, and keeps three matrices a step for the backward.

    Args:
        x_ED: matrices (..., E, D).
        steps: iterations of X ← aX + (bA + cA²)X with A = XXᵀ.

    Returns:
        (..., E, D).
    """
    a, b, c = COEFFICIENTS
    tall = x_ED.shape[-2] > x_ED.shape[-1]
    x = x_ED.mT if tall else x_ED
    x = x / (_norm(x) + EPS)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


def _norm(x: Tensor) -> Tensor:
    """The Frobenius norm, whose slope at a zero matrix is 0."""
    square = x.square().sum((-2, -1), keepdim=True)
    zero = square == 0
    return square.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
