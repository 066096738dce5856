"""Ops on whole matrices: parameters of one shape are stacked, so that each op runs once a shape.

Shapes: k parameters of a shape, m rows and n channels each; `(k, heads, m, n)` for the states of
memories with heads, each of which is a matrix of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nestgraph.compiler.optimizers.elementwise import norms_of, number
from nestgraph.compiler.optimizers.values import (
    Cells,
    Rounded,
    Sum,
    Value,
    by_shape,
    cells,
    plain,
    stacked,
)
from nestgraph.language.system import Node
from nestgraph.ops.history.newton_schulz import FLOOR, quintic

TYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def orthogonal(flow: Cells | Sum, steps: int, kind: torch.dtype) -> Rounded:
    """Return Newton–Schulz of each matrix of a flow, in the type `kind`.

    Each is divided by its norm first, at least 1e-7, as Muon does it.
    """

    like = flow.first if isinstance(flow, Sum) else flow.tensors
    answers = list(like)
    for places in by_shape(like):
        matrices = flow.of(places) if isinstance(flow, Sum) else [like[p] for p in places]
        x = _unit(matrices, flow.scale, kind)
        for place, answer in zip(places, quintic(x, steps).unbind(0), strict=True):
            answers[place] = answer
    return Rounded(answers, like[0].dtype)


def _unit(matrices: list[Tensor], scale: float, kind: torch.dtype) -> Tensor:
    """Return scale·x over its norm for matrices of one shape, stacked."""
    norms = torch.stack(norms_of(matrices)).mul_(abs(scale)).clamp_(min=FLOOR)
    x = matrices[0].new_empty((len(matrices), *matrices[0].shape), dtype=kind)
    torch._foreach_copy_(list(x.unbind(0)), matrices)
    factor = (scale / norms).to(kind)
    return x.mul_(factor.reshape(factor.shape + (1,) * (x.ndim - factor.ndim)))


def newton_schulz(node: Node, x: Value) -> Value:
    """Orthogonalise, and let a tall matrix move by √(rows/columns) as much."""
    kind = TYPES[str(node.fields.get("precision", "float32"))]
    y = x if isinstance(x, Sum) else cells(x)
    answer = orthogonal(y, int(number(node, "steps", 5)), kind)
    if not node.fields.get("shape_factor"):
        return answer
    for places in by_shape(answer.tensors):
        rows, columns = answer.tensors[places[0]].shape[-2:]
        if rows > columns:
            torch._foreach_mul_(
                [answer.tensors[place] for place in places], math.sqrt(rows / columns)
            )
    return answer


def identity(node: Node, x: Value) -> Value:
    """Return the unit matrix of each one's rows."""

    def unit(stack: Tensor) -> Tensor:
        rows = stack.shape[-2]
        eye = torch.eye(rows, dtype=stack.dtype, device=stack.device)
        return eye.expand(*stack.shape[:-2], rows, rows)

    return Cells(stacked(unit, cells(x).tensors))


def transpose(node: Node, x: Value) -> Value:
    """Return rows become columns; no numbers move."""
    y = cells(x)
    return Cells([tensor.mT for tensor in y.tensors], y.scale, source=y.source)


def matmul(node: Node, left: Value, right: Value) -> Value:
    """Return the product of two matrices, for each parameter."""
    a, b = cells(left), cells(right)
    return Cells(stacked(torch.matmul, a.tensors, b.tensors), a.scale * b.scale, owned=True)


def matrix_power(node: Node, x: Value) -> Value:
    """Return a power of symmetric matrices: 26n³ FLOPs or so for the eigenvectors of an n×n one."""
    exponent, floor = number(node, "exponent", 1.0), number(node, "floor", 1e-12)

    def run(stack: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(stack)
        largest = values.amax(-1, keepdim=True).clamp(min=1e-30)
        values = values.clamp(min=0) + floor * largest
        answer: Tensor = (vectors * (values**exponent)[..., None, :]) @ vectors.mT
        return answer

    return Cells(stacked(run, plain(x).tensors), owned=True)


OPS: Mapping[str, Callable[..., Value]] = {
    "newton_schulz": newton_schulz,
    "identity": identity,
    "transpose": transpose,
    "matmul": matmul,
    "matrix_power": matrix_power,
}
