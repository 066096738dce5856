"""Ops that work cell by cell, and the norms of whole matrices, on lists of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nestgraph.compiler.optimizers.values import (
    Cells,
    Quotient,
    Rounded,
    Square,
    Sum,
    Tensors,
    Value,
    add_,
    bounded,
    cells,
    plain,
    shared,
    stacked,
)
from nestgraph.language.system import Node

NORM_FLOOR = 1e-12

Take = Sequence[Value]


def number(node: Node, field: str, default: float) -> float:
    """Return a number field; the default where it is left out."""
    value = node.fields.get(field)
    return float(value) if isinstance(value, int | float) else default


def affine(node: Node, x: Value) -> Value:
    """Return scale·x + shift; a factor alone costs nothing."""
    scale, shift = number(node, "scale", 1.0), number(node, "shift", 0.0)
    if isinstance(x, float):
        return scale * x + shift
    return shifted(scaled(x, scale), shift)


def scaled(x: Value, factor: float) -> Value:
    """Return factor·x."""
    match x:
        case float():
            return factor * x
        case Square():
            return Square(x.base, factor * x.scale, x.source)
        case Quotient():
            owned, x.owned = x.owned, False
            return Quotient(x.above, x.below, factor * x.scale, owned, x.sources)
        case Sum():
            return Sum(x.first, x.second, x.alpha, factor * x.scale, x.sources)
        case Rounded():
            return Rounded(x.tensors, x.kind, factor * x.scale)
        case Cells():
            # Whoever holds `x` too must not see these tensors change.
            owned, x.owned = x.owned, False
            return Cells(x.tensors, factor * x.scale, owned, x.source)


def shifted(x: Value, shift: float) -> Value:
    """Return x + shift."""
    if shift == 0.0 or isinstance(x, float):
        return x + shift if isinstance(x, float) else x
    y = cells(x)
    if y.scale == 0.0:
        y = plain(y)
    by = bounded(shift / y.scale, y.tensors)
    if y.owned:
        torch._foreach_add_(y.tensors, by)
        return y
    return Cells(list(torch._foreach_add(y.tensors, by)), y.scale, owned=True)


def power(node: Node, x: Value) -> Value:
    """Return x^exponent; a square waits for what it is for."""
    exponent = number(node, "exponent", 1.0)
    if isinstance(x, float):
        return _of_number(lambda one: one**exponent, x)
    if exponent == 1.0:
        return x
    if exponent == 2.0:
        base = shared(x)
        return Square(base.tensors, base.scale**2, base.source)
    y = cells(x)
    if exponent != 0.5:
        y = plain(y)
        return Cells(list(torch._foreach_pow(y.tensors, exponent)), owned=True)
    if y.scale < 0.0:
        y = plain(y)
    factor = math.sqrt(y.scale)
    if y.owned:
        torch._foreach_sqrt_(y.tensors)
        return Cells(y.tensors, factor, owned=True)
    return Cells(list(torch._foreach_sqrt(y.tensors)), factor, owned=True)


def add(node: Node, *flows: Value) -> Value:
    """Return Σ wᵢ xᵢ; the first weight becomes a factor of the whole."""
    given = node.fields.get("weights")
    weights = [1.0] * len(flows) if given is None else list(_numbers(given))
    numbers = sum(w * x for w, x in zip(weights, flows, strict=True) if isinstance(x, float))
    terms = [
        (w, x) for w, x in zip(weights, flows, strict=True) if not isinstance(x, float) and w != 0.0
    ]
    if not terms:
        matrices = [x for x in flows if not isinstance(x, float)]
        return shifted(scaled(matrices[0], 0.0), numbers) if matrices else numbers
    # What waits is best added to what is there.
    terms.sort(key=lambda term: not isinstance(term[1], Cells))
    (weight, first), *rest = terms
    total = scaled(first, weight)
    if len(rest) == 1 and _may_wait(total, rest[0][1]):
        factor, term = rest[0]
        left, right = shared(total), shared(term)
        alpha = factor * right.scale / left.scale
        sources = frozenset((left.source, right.source))
        total = Sum(left.tensors, right.tensors, alpha, left.scale, sources)
    elif rest:
        total = _begun(total, rest[0])
        for factor, term in rest[1:]:
            assert isinstance(total, Cells)
            add_(total.tensors, term, factor / total.scale)
    return shifted(total, numbers)


def _may_wait(first: Value, second: Value) -> bool:
    """Return whether two terms had better wait: neither is there to be overwritten."""
    if not isinstance(first, Cells) or not isinstance(second, Cells):
        return False
    return not first.owned and not second.owned and first.scale != 0.0


def _begun(first: Value, term: tuple[float, Value]) -> Cells:
    factor, value = term
    total = cells(first)
    if total.scale == 0.0:
        total = plain(total)
    if isinstance(value, Cells) and not total.owned:
        alpha = bounded(factor * value.scale / total.scale, total.tensors)
        fresh = torch._foreach_add(total.tensors, value.tensors, alpha=alpha)
        return Cells(list(fresh), total.scale, owned=True)
    if not total.owned:
        total = Cells([x.clone() for x in total.tensors], total.scale, owned=True)
    add_(total.tensors, value, factor / total.scale)
    return total


def product(node: Node, *flows: Value) -> Value:
    """Multiply: numbers are factors; matrices multiply cell by cell."""
    factor = math.prod(flow for flow in flows if isinstance(flow, float))
    matrices = [flow for flow in flows if not isinstance(flow, float)]
    if not matrices:
        return factor
    total = matrices[0]
    for flow in matrices[1:]:
        left, right = cells(total), cells(flow)
        scale = left.scale * right.scale
        if left.owned:
            torch._foreach_mul_(left.tensors, right.tensors)
            total = Cells(left.tensors, scale, owned=True)
        else:
            total = Cells(list(torch._foreach_mul(left.tensors, right.tensors)), scale, owned=True)
    return scaled(total, factor)


def divide(node: Node, above: Value, below: Value) -> Value:
    """Return the first over the second, as late as possible."""
    if isinstance(below, float):
        inverse = _of_number(torch.reciprocal, below)
        return above * inverse if isinstance(above, float) else scaled(above, inverse)
    under = shared(below)
    owned = isinstance(above, Cells) and above.owned
    if isinstance(above, float):
        inverses = torch._foreach_reciprocal(under.tensors)
        return Cells(list(inverses), above / under.scale, owned=True)
    over = shared(above)
    sources = frozenset((over.source, under.source))
    return Quotient(over.tensors, under.tensors, over.scale / under.scale, owned, sources)


def largest(node: Node, *flows: Value) -> Value:
    """Return the larger of several flows, cell by cell."""
    if all(isinstance(flow, float) for flow in flows):
        return max(value for value in flows if isinstance(value, float))
    matrices = [cells(flow) for flow in flows if not isinstance(flow, float)]
    scale = matrices[0].scale
    if scale <= 0.0 or any(flow.scale != scale for flow in matrices):
        matrices, scale = [plain(flow) for flow in matrices], 1.0
    total = matrices[0].tensors
    for flow in matrices[1:]:
        total = list(torch._foreach_maximum(total, flow.tensors))
    for value in flows:
        if isinstance(value, float):
            total = list(torch._foreach_clamp_min(total, bounded(value / scale, total)))
    return Cells(total, scale, owned=total is not matrices[0].tensors)


def sign(node: Node, x: Value) -> Value:
    """Return −1, 0 or 1."""
    if isinstance(x, float):
        return float((x > 0) - (x < 0))
    y = cells(x)
    direction = float((y.scale > 0) - (y.scale < 0))
    if y.owned:
        torch._foreach_sign_(y.tensors)
        return Cells(y.tensors, direction, owned=True)
    return Cells(list(torch._foreach_sign(y.tensors)), direction, owned=True)


def l2_norm(node: Node, x: Value) -> Value:
    """Return each row, or each matrix with `over: all`, over its norm (or root mean square)."""
    y = plain(x)
    if node.fields.get("over") != "all":
        return Cells(stacked(_unit_rows, y.tensors), owned=True)
    norms = norms_of(y.tensors)
    if node.fields.get("mean"):
        cells_of = [matrix.shape[-2] * matrix.shape[-1] for matrix in y.tensors]
        torch._foreach_div_(norms, [math.sqrt(count) for count in cells_of])
    torch._foreach_clamp_min_(norms, NORM_FLOOR)
    if y.owned:
        torch._foreach_div_(y.tensors, norms)
        return y
    return Cells(list(torch._foreach_div(y.tensors, norms)), owned=True)


def clip(node: Node, x: Value) -> Value:
    """Return each matrix scaled down to a norm."""
    y = plain(x)
    limit = number(node, "norm", 1.0)
    norms = norms_of(y.tensors)
    torch._foreach_clamp_min_(norms, NORM_FLOOR)
    factors = torch._foreach_reciprocal(norms)
    torch._foreach_mul_(factors, limit)
    torch._foreach_clamp_max_(factors, 1.0)
    return Cells(list(torch._foreach_mul(y.tensors, list(factors))), owned=True)


def norms_of(tensors: Tensors) -> Tensors:
    """Return the norm of each matrix; of a stack (heads, rows, channels) one for each of them."""
    if all(x.ndim <= 2 for x in tensors):
        return list(torch._foreach_norm(tensors))
    return [torch.linalg.matrix_norm(x, keepdim=True) if x.ndim > 2 else x.norm() for x in tensors]


def _of_number(function: Callable[[Tensor], Tensor], x: float) -> float:
    """Return a function of a number as it is of a cell: infinite or no number where Python
    raises.
    """
    return float(function(torch.tensor(x, dtype=torch.float64)))


def _unit_rows(x: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    unit: Tensor = x / norms.clamp_(min=NORM_FLOOR)
    return unit


def _flat(function: Callable[[Tensor], Tensor]) -> Callable[..., Value]:
    """Return an elementwise function without a `_foreach` form: once over all cells."""

    def run(node: Node, x: Value) -> Value:
        if isinstance(x, float):
            return _of_number(function, x)
        return Cells(stacked(function, plain(x).tensors), owned=True)

    return run


def _numbers(value: object) -> Sequence[float]:
    assert isinstance(value, Sequence), value
    return [float(item) for item in value]


OPS: Mapping[str, Callable[..., Value]] = {
    "affine": affine,
    "power": power,
    "sum": add,
    "product": product,
    "divide": divide,
    "max": largest,
    "sign": sign,
    "l2_norm": l2_norm,
    "clip": clip,
    "silu": _flat(F.silu),
    "gelu": _flat(F.gelu),
    "gelu_tanh": _flat(lambda x: F.gelu(x, approximate="tanh")),
    "relu": _flat(torch.relu),
    "sigmoid": _flat(torch.sigmoid),
    "tanh": _flat(torch.tanh),
    "softplus": _flat(F.softplus),
    "exp": _flat(torch.exp),
    "softmax": _flat(lambda x: x.softmax(-1)),
}
