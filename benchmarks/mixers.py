"""Mixers around one kernel each, for measuring the kernel where it would stand in a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain import EPS
from benchmarks.steps import Size, Step, flow

Kernel = Callable[[Mapping[str, Tensor]], Tensor]


class KernelMixer(nn.Module):
    """Norm, one projection into the kernel's flows and a gate, kernel, gate, output, residual.

    Args:
        width: of the flow.
        parts: widths of the flows that the kernel takes, by name.
        inner: width of its answer.
        kernel: from the flows (batch, time, ...) to the answer (batch, time, inner).
    """

    def __init__(self, width: int, parts: Mapping[str, int], inner: int, kernel: Kernel) -> None:
        super().__init__()
        self.parts, self.kernel = {**parts, "gate": inner}, kernel
        self.norm = nn.RMSNorm(width, EPS)
        self.into = nn.Linear(width, sum(self.parts.values()), bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """Return (batch, time, width) to the same."""
        flows = self.into(self.norm(x_BTW)).split(list(self.parts.values()), -1)
        named = dict(zip(self.parts, flows, strict=True))
        answer: Tensor = self.out(self.kernel(named) * F.silu(named["gate"]))
        return x_BTW + answer


def mixer_step(size: Size, parts: Mapping[str, int], inner: int, kernel: Kernel) -> Step:
    """Return a step of a mixer with the same weights for every kernel."""
    torch.manual_seed(0)
    mixer, x = KernelMixer(size.width, parts, inner, kernel), flow(size)
    return Step(lambda: mixer(x), [x, *mixer.parameters()])


def same_numbers(ours: Step, theirs: Step, tolerance: float = 1e-3) -> str:
    """Hold answers and gradients of two steps against each other, relative to their norms.

    Raises:
        AssertionError: when they don't compute the same.
    """
    with torch.no_grad():
        pairs = [(ours.forward(), theirs.forward())]
    ours()
    theirs()
    pairs += [
        (_grad(mine), _grad(other)) for mine, other in zip(ours.leaves, theirs.leaves, strict=True)
    ]
    worst = max(float((mine - other).norm() / other.norm()) for mine, other in pairs)
    assert worst <= tolerance, f"the sides differ by {worst:.1e}"
    return f"same numbers: answers and gradients differ by at most {worst:.0e} of their norms"


def _grad(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def split(x_BTW: Tensor, heads: int) -> Tensor:
    """Return (batch, time, width) to (batch, heads, time, width / heads)."""
    x_BTHd: Tensor = x_BTW.unflatten(-1, (heads, -1))
    return x_BTHd.transpose(1, 2)


def merge(x_BHTD: Tensor) -> Tensor:
    """Return the way back."""
    return x_BHTD.transpose(1, 2).flatten(2)
