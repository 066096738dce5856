"""The inverse of a unit lower triangular matrix.

With N = -L strictly lower triangular of size C, N^C = 0, so
(I + L)^-1 = I + N + N² + ... = (I + N)(I + N²)(I + N⁴)...: log2(C) rounds of batched products.
On a CPU substitution does a sixth of that work: 2 to 4 times as fast at C of 8 to 64 (measured).

Legend: N matrices, C rows and columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def unit_lower_inverse(strict: Tensor) -> Tensor:
    """Return (I + L)^-1 for strictly lower triangular L.

    C³/3 FLOPs a matrix by substitution, 4·C³·log2(C) by doubling. The backward is two products
    with the inverse.

    Args:
        strict: L, (..., C, C); entries on and above the diagonal must be zero.

    Returns:
        (..., C, C), unit lower triangular.
    """
    inverse: Tensor = _UnitLowerInverse.apply(strict)  # type: ignore[no-untyped-call]
    return inverse


class _UnitLowerInverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, strict: Tensor) -> Tensor:
        flat = strict.reshape(-1, *strict.shape[-2:])
        inverse = plain_inverse(flat)
        ctx.save_for_backward(inverse)
        return inverse.view(strict.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        # d(X^-1) = -X^-1 dX X^-1; entries that aren't strictly lower are constants.
        flat = torch.bmm(torch.bmm(inverse.mT, grad.reshape(inverse.shape)), inverse.mT)
        return flat.tril_(-1).neg_().view(grad.shape)


def plain_inverse(strict_NCC: Tensor) -> Tensor:
    """Return `unit_lower_inverse` of one batch of matrices, without a derivative."""
    if strict_NCC.device.type == "cpu":
        return by_substitution(strict_NCC)
    return by_doubling(strict_NCC)


def by_substitution(strict_NCC: Tensor) -> Tensor:
    """Solve (I + L) X = I."""
    eye = torch.eye(strict_NCC.shape[-1], dtype=strict_NCC.dtype, device=strict_NCC.device)
    inverse: Tensor = torch.linalg.solve_triangular(
        strict_NCC, eye, upper=False, unitriangular=True
    )
    return inverse


def by_doubling(strict_NCC: Tensor) -> Tensor:
    """Return products alone, which suits a GPU."""
    size = strict_NCC.shape[-1]
    eye = torch.eye(size, dtype=strict_NCC.dtype, device=strict_NCC.device)
    inverse = eye - strict_NCC
    power, reach = strict_NCC, 2
    while reach < size:
        power = torch.bmm(power, power)
        inverse = torch.baddbmm(inverse, inverse, power)
        reach *= 2
    return inverse
