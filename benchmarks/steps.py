"""One step to time: a forward and a backward with given inputs and gradient, or an optimizer's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

FREED = 30 << 20  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much one step goes over."""

    batch: int = 4
    time: int = 512
    width: int = 256
    heads: int = 4

    @property
    def tokens(self) -> int:
        """In one step."""
        return self.batch * self.time

    def __str__(self) -> str:
        return f"{self.batch} x {self.time} tokens, width {self.width}, {self.heads} heads"


class Step:
    """Forward, then backward into parameters and inputs; a call does it once.

    Args:
        forward: from nothing to one tensor.
        leaves: what receives gradients.
        seed: of the gradient of the output.
    """

    def __init__(
        self, forward: Callable[[], Tensor], leaves: Iterable[Tensor], seed: int = 1
    ) -> None:
        self.forward = forward
        self.leaves = tuple(leaves)
        source = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            like = forward()
        self.probe = torch.randn(like.shape, generator=source, dtype=like.dtype)

    def __call__(self) -> None:
        """Drop the last gradients and make new ones."""
        self.clear()
        self.forward().backward(self.probe)

    def clear(self) -> None:
        """Drop the gradients."""
        for leaf in self.leaves:
            leaf.grad = None


class Product:
    """A square matrix product, as the machine's own measure of speed."""

    side = 1024
    flops = 2.0 * side**3

    def __init__(self) -> None:
        source = torch.Generator().manual_seed(0)
        self.left = torch.randn(self.side, self.side, generator=source)
        self.right = torch.randn(self.side, self.side, generator=source)

    def __call__(self) -> None:
        """Multiply once."""
        torch.mm(self.left, self.right)

    def clear(self) -> None:
        """Drop nothing."""


def flow(size: Size, seed: int = 0) -> Tensor:
    """Return a random flow (batch, time, width) that receives a gradient."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(size.batch, size.time, size.width, generator=source).requires_grad_()


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """How much one step of an optimizer goes over."""

    tensors: int
    numbers: int

    def __str__(self) -> str:
        return f"{self.numbers:,} numbers in {self.tensors} tensors"


class Move:
    """A step of an optimizer along gradients that stay the same; a call takes it.

    Args:
        step: of the optimizer.
        tensors: the parameters that it moves, by name.
    """

    def __init__(self, step: Callable[[], object], tensors: Mapping[str, Tensor]) -> None:
        self.step = step
        self.tensors = tensors
        # As after a forward in a training: the C library then keeps what is freed, where in a
        # fresh process a step would ask the system for the same pages again.
        torch.empty(FREED // 4)

    def __call__(self) -> None:
        """Move the parameters once."""
        self.step()

    def clear(self) -> None:
        """Drop nothing: the gradients are those of the next step too."""
