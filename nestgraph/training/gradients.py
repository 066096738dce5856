"""The gradients at hand before an update, and whether they are numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def gradients_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return all that the parameters of an optimizer have."""
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    return [p.grad for p in parameters if p.grad is not None]


def all_finite(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether every gradient is a number: one pass over them, and one look at the sum of
    norms.
    """
    gradients = gradients_of(optimizer)
    if not gradients:
        return True
    norms = torch._foreach_norm(gradients)
    return bool(torch.stack([norm.float() for norm in norms]).sum().isfinite())
