"""Ops of optimizers: functions of whole matrices (rows, channels), or of plain numbers.

A vector is one row. `docs/optimizers.md` says the same in prose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from nestgraph.language.system import Node
from nestgraph.reference.ops import ACTIVATIONS, numbers

Value = Tensor | float
NORM_FLOOR = 1e-12  # of `l2_norm` and `clip`: gradients may be tiny, zeros stay zeros
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
TYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def run(node: Node, inputs: tuple[Value, ...], ticks: int) -> Value:
    """Return the flow that an op makes at one step.

    Args:
        node: the op and its fields.
        inputs: its flows, numbers or (rows, channels).
        ticks: how often its first input has ticked so far, for `debias`.
    """
    if node.op == "debias":
        return _debias(node, inputs[0], ticks)
    if all(isinstance(value, float) for value in inputs):
        # The formula of a number is that of a matrix with one cell.
        one = tuple(torch.tensor([[value]], dtype=torch.float64) for value in inputs)
        return float(_tensor(OPS[node.op](node, *one)))
    return OPS[node.op](node, *inputs)


def newton_schulz(x: Tensor, steps: int) -> Tensor:
    """Return Muon's quintic iteration on the last two axes, with at most as many rows as
    columns.
    """
    a, b, c = COEFFICIENTS
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def _tensor(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _number(node: Node, field: str, default: float) -> float:
    value = node.fields.get(field)
    return float(value) if isinstance(value, int | float) else default


def _debias(node: Node, x: Value, ticks: int) -> Value:
    # Before the first tick there is nothing to correct.
    return x / (1 - _number(node, "decay", 0.0) ** ticks) if ticks else x


def _affine(node: Node, x: Value) -> Value:
    return x * _number(node, "scale", 1.0) + _number(node, "shift", 0.0)


def _power(node: Node, x: Value) -> Value:
    answer: Value = x ** _number(node, "exponent", 1.0)
    return answer


def _sum(node: Node, *flows: Value) -> Value:
    given = node.fields.get("weights")
    weights = [1.0] * len(flows) if given is None else list(numbers(given))
    total: Value = 0.0
    for weight, flow in zip(weights, flows, strict=True):
        total = total + weight * flow
    return total


def _product(node: Node, *flows: Value) -> Value:
    total: Value = 1.0
    for flow in flows:
        total = total * flow
    return total


def _divide(node: Node, above: Value, below: Value) -> Value:
    return above / below


def _max(node: Node, *flows: Value) -> Value:
    like = next(flow for flow in flows if isinstance(flow, Tensor))
    largest = torch.full_like(like, -math.inf)
    for flow in flows:
        largest = torch.maximum(largest, torch.as_tensor(flow, dtype=like.dtype))
    return largest


def _l2_norm(node: Node, x: Value) -> Value:
    x = _tensor(x)
    if node.fields.get("over") != "all":
        return x / x.square().sum(-1, keepdim=True).sqrt().clamp(min=NORM_FLOOR)
    size = x.shape[-2] * x.shape[-1] if node.fields.get("mean") else 1
    norm = (x.square().sum((-2, -1), keepdim=True) / size).sqrt()
    return x / norm.clamp(min=NORM_FLOOR)


def _clip(node: Node, x: Value) -> Value:
    x = _tensor(x)
    norm = x.square().sum((-2, -1), keepdim=True).sqrt().clamp(min=NORM_FLOOR)
    return x * (_number(node, "norm", 1.0) / norm).clamp(max=1)


def _newton_schulz(node: Node, x: Value) -> Value:
    x = _tensor(x)
    kind = TYPES[str(node.fields.get("precision", "float32"))]
    y = newton_schulz(x.to(kind), int(_number(node, "steps", 5))).to(x.dtype)
    rows, columns = x.shape[-2:]
    return y * math.sqrt(max(1.0, rows / columns)) if node.fields.get("shape_factor") else y


def _identity(node: Node, x: Value) -> Value:
    x = _tensor(x)
    rows = x.shape[-2]
    return torch.eye(rows, dtype=x.dtype).expand(*x.shape[:-2], rows, rows)


def _matrix_power(node: Node, x: Value) -> Value:
    values, vectors = torch.linalg.eigh(_tensor(x))
    largest = values.amax(-1, keepdim=True).clamp(min=1e-30)
    values = values.clamp(min=0) + _number(node, "floor", 1e-12) * largest
    answer: Tensor = (
        vectors @ torch.diag_embed(values ** _number(node, "exponent", 1.0)) @ vectors.mT
    )
    return answer


def _activation(function: Callable[[Tensor], Tensor]) -> Callable[..., Value]:
    return lambda node, x: function(_tensor(x))


OPS: Mapping[str, Callable[..., Value]] = {
    **{name: _activation(function) for name, function in ACTIVATIONS.items()},
    "softplus": _activation(F.softplus),
    "exp": _activation(torch.exp),
    "sign": _activation(torch.sign),
    "softmax": _activation(lambda x: x.softmax(-1)),
    "transpose": _activation(lambda x: x.mT),
    "affine": _affine,
    "power": _power,
    "sum": _sum,
    "product": _product,
    "divide": _divide,
    "max": _max,
    "l2_norm": _l2_norm,
    "clip": _clip,
    "newton_schulz": _newton_schulz,
    "identity": _identity,
    "matmul": lambda node, left, right: _tensor(left) @ _tensor(right),
    "matrix_power": _matrix_power,
}
