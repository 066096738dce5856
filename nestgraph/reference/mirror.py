"""From the state to the weights, W = μ(A) (§5, `mirror`). Biases stay as they are.

Gradients are taken at W and with respect to W, and move A: mirror descent. Only the outer
gradient goes through μ.
"""

from __future__ import annotations

from torch import Tensor

from nestgraph.language.system import Rule
from nestgraph.reference.nets import Matrices, is_matrix

TINY = 1e-12


def weights(rule: Rule, state: Matrices) -> Matrices:
    """Return the weights that a state stands for, each matrix of each head by itself."""
    if rule.mirror == "none":
        return state
    return tuple(_mirrored(rule, tensor) if is_matrix(tensor) else tensor for tensor in state)


def _mirrored(rule: Rule, matrix: Tensor) -> Tensor:
    if rule.mirror == "softmax":
        return matrix.softmax(-1)  # over the inputs of each output
    assert rule.mirror_q is not None, "`lq` has a `q`"
    return lq(matrix, rule.mirror_q)


def lq(matrix: Tensor, q: float) -> Tensor:
    """Return a / ‖A‖_q^(q−2), the norm over the whole matrix (Moneta, arXiv 2504.13173)."""
    total = matrix.abs().pow(q).sum((-2, -1), keepdim=True) + TINY
    return matrix / total.pow((q - 2) / q)
