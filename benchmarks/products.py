"""Which matrix products a step executes, and how long plain products of the same shapes take."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.steps import Step

REPEATS = 3
ADDED = ("addmm", "baddbmm")  # their first argument is what is added
NAMES = ("mm", "bmm", *ADDED)
FLASH = "_scaled_dot_product_flash_attention_for_cpu"


class Shape(NamedTuple):
    """`batch` products of (rows, inner) with (inner, columns)."""

    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> float:
        """Two for each multiplication and addition."""
        return 2.0 * math.prod(self)


class _Products(TorchDispatchMode):
    """Counts products by shape, those of the backward included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[Shape] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__.rstrip("_")
        if name in NAMES:
            left, right = args[1:3] if name in ADDED else args[:2]
            self.found[_shape(left, right)] += 1
        elif FLASH in name:
            self._attend(args, backward="backward" in name)
        return func(*args, **(kwargs or {}))

    def _attend(self, args: tuple[Any, ...], *, backward: bool) -> None:
        """Count causal attention: half of all pairs; two products, five on the way back."""
        q, k = args[1:3] if backward else args[:2]
        batch, heads, time_, width = q.shape
        whole = Shape(batch * heads, time_, width, max(1, k.shape[2] // 2))
        self.found[whole] += 5 if backward else 2


def _shape(left: Tensor, right: Tensor) -> Shape:
    batch = left.shape[0] if left.dim() == 3 else 1
    return Shape(batch, left.shape[-2], left.shape[-1], right.shape[-1])


def products_of(step: Step) -> Counter[Shape]:
    """Return the products that one step executes, those that it does again to save memory
    included.
    """
    seen = _Products()
    with seen:
        step()
    return seen.found


def flops_of(found: Counter[Shape]) -> float:
    """Return the FLOPs of all products."""
    return sum(count * shape.flops for shape, count in found.items())


def plain_seconds(found: Counter[Shape]) -> float:
    """Return processor time of the same products alone, on ready matrices in one piece."""
    return sum(count * _alone(shape) for shape, count in found.items())


def _alone(shape: Shape) -> float:
    left = torch.randn(shape.batch, shape.rows, shape.inner)
    right = torch.randn(shape.batch, shape.inner, shape.columns)
    out = torch.bmm(left, right)
    best = math.inf
    for _ in range(REPEATS):
        began, count = time.process_time(), 0
        while count < 1 or time.process_time() - began < 1e-3:
            torch.bmm(left, right, out=out)
            count += 1
        best = min(best, (time.process_time() - began) / count)
    return best
