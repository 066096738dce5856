"""Every op without a memory, on the flow of one position (§10).

A flow is (batch, width); with h heads it is h runs of width / h channels. `conv` is the one op
that looks back: it is given its window of inputs, oldest first, in place of a flow.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.language.system import Node

EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One op at one position.

    Attributes:
        node: the op and its fields.
        inputs: the flows that it is given.
        parameters: its own parameters, by short name.
        position: t, counted from 1.
        period: of the level that `since` names; 0 counts from the start of the sequence.
    """

    node: Node
    inputs: tuple[Tensor, ...]
    parameters: Mapping[str, Tensor]
    position: int
    period: int

    @property
    def x(self) -> Tensor:
        """The only flow of a unary op."""
        (x,) = self.inputs
        return x

    @property
    def heads(self) -> int:
        """Return how many runs the flow falls into."""
        return self.whole("heads", 1)

    @property
    def elapsed(self) -> int:
        """Positions before this one, since the start or since the level's last tick."""
        before = self.position - 1
        return before % self.period if self.period else before

    def whole(self, field: str, default: int) -> int:
        """Return a whole-number field; the default where it is left out."""
        value = self.node.fields.get(field)
        return value if isinstance(value, int) else default

    def number(self, field: str, default: float) -> float:
        """Return a number field; the default where it is left out."""
        value = self.node.fields.get(field)
        return float(value) if isinstance(value, int | float) else default


def run(call: Call) -> Tensor:
    """Return the flow that an op makes at one position."""
    return OPS[call.node.op](call)


def in_runs(x: Tensor, heads: int) -> Tensor:
    """Return (batch, heads · d) as (batch, heads, d)."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def rms_norm(x: Tensor, gain: Tensor, heads: int = 1) -> Tensor:
    """Return each run over the root of its mean square, times a gain a channel."""
    runs = in_runs(x, heads)
    root = (runs.square().mean(-1, keepdim=True) + EPSILON).sqrt()
    return (runs / root).flatten(-2) * gain


def layer_norm(x: Tensor, gain: Tensor, shift: Tensor, heads: int = 1) -> Tensor:
    """Return each run centred and over its standard deviation, times a gain, plus a shift."""
    runs = in_runs(x, heads)
    centred = runs - runs.mean(-1, keepdim=True)
    root = (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt()
    return (centred / root).flatten(-2) * gain + shift


def _linear(call: Call) -> Tensor:
    y = call.x @ call.parameters["weight"].mT
    return y + call.parameters["bias"] if "bias" in call.parameters else y


def _conv(call: Call) -> Tensor:
    # The window is (batch, taps, width) and the weight (width, taps): the last tap is now.
    return (call.x * call.parameters["weight"].mT).sum(1)


def _rms_norm(call: Call) -> Tensor:
    return rms_norm(call.x, call.parameters["gain"], call.heads)


def _layer_norm(call: Call) -> Tensor:
    return layer_norm(call.x, call.parameters["gain"], call.parameters["shift"], call.heads)


def _l2_norm(call: Call) -> Tensor:
    runs = in_runs(call.x, call.heads)
    return (runs / (runs.square().sum(-1, keepdim=True) + EPSILON).sqrt()).flatten(-2)


def _softmax(call: Call) -> Tensor:
    return in_runs(call.x, call.heads).softmax(-1).flatten(-2)


def _affine(call: Call) -> Tensor:
    return call.x * call.number("scale", 1.0) + call.number("shift", 0.0)


def _bias(call: Call) -> Tensor:
    return call.x + call.parameters["bias"]


def _gain(call: Call) -> Tensor:
    gain = call.parameters["gain"]  # one a channel, or one a head
    return (in_runs(call.x, gain.shape[0]) * gain[:, None]).flatten(-2)


def _power(call: Call) -> Tensor:
    return call.x ** call.number("exponent", 1.0)


def _polynomial(call: Call) -> Tensor:
    return sum_of(c * call.x**i for i, c in enumerate(call.parameters["coefficients"]))


def _lookup(call: Call) -> Tensor:
    table = call.parameters["table"]
    index = call.x.long() - 1  # positions count from 1; those beyond the table take its last entry
    return table[index.clamp(max=len(table) - 1)]


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Return the sum of one or more flows."""
    return functools.reduce(operator.add, terms)


def _sum(call: Call) -> Tensor:
    weights = call.node.fields.get("weights")
    if weights is None:
        return sum_of(call.inputs)
    factors = call.parameters["weights"] if weights == "learned" else numbers(weights)
    return sum_of(factors[i] * flow for i, flow in enumerate(call.inputs))


def _product(call: Call) -> Tensor:
    return functools.reduce(operator.mul, call.inputs)


def _max(call: Call) -> Tensor:
    return functools.reduce(torch.maximum, call.inputs)


def _divide(call: Call) -> Tensor:
    above, below = call.inputs
    return above / below


def _mean(call: Call) -> Tensor:
    return in_runs(call.x, call.heads).mean(-1)


def _total(call: Call) -> Tensor:
    return in_runs(call.x, call.heads).sum(-1)


def _tile(call: Call) -> Tensor:
    return torch.cat([call.x] * call.whole("times", 1), -1)


def _repeat(call: Call) -> Tensor:
    times = call.node.fields.get("times")
    runs = in_runs(call.x, call.heads)
    if isinstance(times, int):
        return runs.repeat_interleave(times, -1).flatten(-2)
    counts = torch.tensor([int(n) for n in numbers(times)], device=runs.device)
    return runs.repeat_interleave(counts, -1).flatten(-2)


def _slice(call: Call) -> Tensor:
    runs = in_runs(call.x, call.heads)
    start = call.whole("start", 0)
    return runs[..., start : start + call.whole("size", runs.shape[-1])].flatten(-2)


def _decay(call: Call) -> Tensor:
    spread = call.x.repeat_interleave(call.whole("states", 1), -1)
    return torch.exp(-torch.exp(call.parameters["a"]) * spread)


def _rope(call: Call) -> Tensor:
    first, second = in_runs(call.x, call.heads).chunk(2, -1)
    half = first.shape[-1]
    index = torch.arange(half, dtype=torch.float64, device=first.device)
    angle = call.elapsed * call.number("base", 10_000.0) ** (-index / half)
    cos, sin = angle.cos().to(first.dtype), angle.sin().to(first.dtype)
    turned = (first * cos - second * sin, second * cos + first * sin)
    return torch.cat(turned, -1).flatten(-2)


def _position(call: Call) -> Tensor:
    return call.x.new_full((call.x.shape[0], 1), call.elapsed + 1)


def _constant(call: Call) -> Tensor:
    value = call.parameters["value"]
    return value.expand(call.x.shape[0], value.shape[0])


def _elementwise(function: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensor]:
    return lambda call: function(call.x)


def numbers(value: object) -> Sequence[float]:
    """Return a field that lists numbers."""
    assert isinstance(value, Sequence), value
    return [float(item) for item in value]


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,  # exact, by erf
    "gelu_tanh": functools.partial(F.gelu, approximate="tanh"),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}

OPS: Mapping[str, Callable[[Call], Tensor]] = {
    **{name: _elementwise(function) for name, function in ACTIVATIONS.items()},
    "softplus": _elementwise(F.softplus),
    "exp": _elementwise(torch.exp),
    "linear": _linear,
    "conv": _conv,
    "rms_norm": _rms_norm,
    "layer_norm": _layer_norm,
    "l2_norm": _l2_norm,
    "softmax": _softmax,
    "affine": _affine,
    "bias": _bias,
    "gain": _gain,
    "power": _power,
    "polynomial": _polynomial,
    "lookup": _lookup,
    "sum": _sum,
    "product": _product,
    "divide": _divide,
    "max": _max,
    "mean": _mean,
    "total": _total,
    "tile": _tile,
    "repeat": _repeat,
    "slice": _slice,
    "decay": _decay,
    "rope": _rope,
    "position": _position,
    "constant": _constant,
}
