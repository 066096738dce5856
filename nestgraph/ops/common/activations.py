"""Activations of memories' nets, with their first two derivatives.

Writing a memory needs the slope s'(z); learning through the write needs the bend s''(z) too.
Each function maps tensors of any shape to one of the same shape, at a few FLOPs an element.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An elementwise function s.

    Attributes:
        value: s(z).
        times_slope: (g, z, s(z)) to g s'(z), in one pass, not differentiable.
        bent: (z, rows) to s(z), s'(z), and s''(z) for the first rows of (..., R, W).
    """

    value: Callable[[Tensor], Tensor]
    times_slope: Callable[[Tensor, Tensor, Tensor], Tensor]
    bent: Callable[[Tensor, int], tuple[Tensor, Tensor, Tensor]]

    def back(self, g: Tensor, z: Tensor, h: Tensor) -> Tensor:
        """Return `times_slope` that learning flows through, to g and to z."""
        through: Tensor = _Back.apply(self, g, z, h)  # type: ignore[no-untyped-call]
        return through


class _Back(torch.autograd.Function):
    """g s'(z); h = s(z) spares work and has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, activation: Activation, g: Tensor, z: Tensor, h: Tensor) -> Tensor:
        ctx.activation = activation
        ctx.save_for_backward(g, z)
        return activation.times_slope(g, z, h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[None, Tensor, Tensor, None]:
        g, z = ctx.saved_tensors
        _, slope, bend = ctx.activation.bent(z, z.shape[-2])
        return None, d_y * slope, (d_y * g).mul_(bend), None


def _silu(z: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    gate = torch.sigmoid(z)
    h, rest = z * gate, 1 - gate
    slope = torch.addcmul(gate, h, rest)
    # s'' = (s' + g (1 - h)) (1 - g) with g the sigmoid: the derivative of g + h (1 - g).
    g, few = gate[..., :rows, :], slope[..., :rows, :]
    bend = torch.addcmul(few + g, g, h[..., :rows, :], value=-1)
    return h, slope, bend.mul_(rest[..., :rows, :])


def _sigmoid(z: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    h = torch.sigmoid(z)
    slope = h * (1 - h)
    return h, slope, slope[..., :rows, :] * (1 - 2 * h[..., :rows, :])


def _tanh(z: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    h = torch.tanh(z)
    slope = 1 - h.square()
    return h, slope, -2 * h[..., :rows, :] * slope[..., :rows, :]


def _relu(z: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.relu(z), (z > 0).to(z.dtype), torch.zeros_like(z[..., :rows, :])


_LOG_PEAK = -0.5 * math.log(2 * math.pi)  # of the normal density at 0


def _gelu(z: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    square = z * z
    density = torch.rsub(square, _LOG_PEAK, alpha=0.5).exp_()
    below = torch.rsub(torch.mul(z, math.sqrt(0.5)).erf_(), 0.5, alpha=-0.5)
    slope = torch.addcmul(below, z, density)
    bend = (2 - square[..., :rows, :]).mul_(density[..., :rows, :])
    return below.mul_(z), slope, bend


_ROOT, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_tanh(z: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    square = z.square()
    height = torch.tanh(_ROOT * z * (1 + _CUBIC * square))
    steep = 1 - height.square()
    inner = _ROOT * (1 + 3 * _CUBIC * square)
    below = 0.5 * (1 + height)
    slope = below + 0.5 * z * steep * inner
    bend = steep * (inner + z * (3 * _CUBIC * _ROOT * z - height * inner.square()))
    return z * below, slope, bend[..., :rows, :]


ACTIVATIONS: dict[str, Activation] = {
    "silu": Activation(
        value=F.silu,
        times_slope=lambda g, z, h: _aten.silu_backward(g, z),
        bent=_silu,
    ),
    "gelu": Activation(
        value=F.gelu,
        times_slope=lambda g, z, h: _aten.gelu_backward(g, z),
        bent=_gelu,
    ),
    "gelu_tanh": Activation(
        value=lambda z: F.gelu(z, approximate="tanh"),
        times_slope=lambda g, z, h: _aten.gelu_backward(g, z, approximate="tanh"),
        bent=_gelu_tanh,
    ),
    "relu": Activation(
        value=torch.relu,
        times_slope=lambda g, z, h: _aten.threshold_backward(g, z, 0),
        bent=_relu,
    ),
    "sigmoid": Activation(
        value=torch.sigmoid,
        times_slope=lambda g, z, h: _aten.sigmoid_backward(g, h),
        bent=_sigmoid,
    ),
    "tanh": Activation(
        value=torch.tanh,
        times_slope=lambda g, z, h: _aten.tanh_backward(g, h),
        bent=_tanh,
    ),
}


def between(activation: str, *, gated: bool) -> Callable[[Tensor], Tensor]:
    """Return what stands between two layers of a net: s, or s(g) ⊙ v of the halves g and v of a
    layer.

    GLU Variants Improve Transformer (arXiv 2002.05202), eq. 6, whose two matrices are one here,
    the gate's rows above: one product. With `silu` that is SwiGLU.
    """
    function = ACTIVATIONS[activation].value
    if not gated:
        return function

    def gate(z: Tensor) -> Tensor:
        g, v = z.chunk(2, -1)
        return function(g) * v

    return gate


def between_back(activation: str, *, gated: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the way back through `between`: (g, z, its value) to the gradient by z; once, no
    further.
    """
    function = ACTIVATIONS[activation]
    if not gated:
        return function.times_slope

    def back(g: Tensor, z: Tensor, _: Tensor) -> Tensor:
        upper, lower = z.chunk(2, -1)
        gate = function.value(upper)
        return torch.cat((function.times_slope(g * lower, upper, gate), g * gate), -1)

    return back
