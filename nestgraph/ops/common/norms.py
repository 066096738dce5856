"""Norms within each head's run of channels: RMS norm, layer norm, l2 norm and softmax.

Legend: B batch, T time, W width of a flow, d width of one head. Every function maps a flow of
any leading shape, (..., W), to a flow of the same shape; `heads` cuts W into equal runs.
All cost O(W) FLOPs and read and write the flow a fixed number of times.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nestgraph.ops.common.layout import runs

EPS = 1e-6  # added to the mean square, the variance or the sum of squares, inside the root


def rms_norm(x_BTW: Tensor, gain_W: Tensor, heads: int = 1) -> Tensor:
    """Return x / sqrt(mean(x²) + eps) in each head's run, times a gain a channel (Zhang, Sennrich
    2019).

    Args:
        x_BTW: a flow (..., W).
        gain_W: (W,), one factor a channel.
        heads: how many runs W is cut into.

    Returns:
        (..., W).
    """
    width = gain_W.shape[0] // heads
    return _unit(x_BTW, heads, EPS * width) * (gain_W * math.sqrt(width))


def layer_norm(x_BTW: Tensor, gain_W: Tensor, shift_W: Tensor, heads: int = 1) -> Tensor:
    """Return (x - mean) / sqrt(var + eps) in each head's run, then gain and shift (Ba et al. 2016).

    Args:
        x_BTW: a flow (..., W).
        gain_W: (W,).
        shift_W: (W,).
        heads: how many runs W is cut into.

    Returns:
        (..., W).
    """
    if heads == 1:
        normed: Tensor = _Standard.apply(x_BTW, gain_W, shift_W)  # type: ignore[no-untyped-call]
        return normed
    return standard(runs(x_BTW, heads)).flatten(-2) * gain_W + shift_W


def standard(x: Tensor) -> Tensor:
    """Return (x - mean) / sqrt(var + eps) over the last axis of (..., d)."""
    normed: Tensor = _Standard.apply(x, None, None)  # type: ignore[no-untyped-call]
    return normed


def l2_norm(x_BTW: Tensor, heads: int = 1) -> Tensor:
    """Return x / sqrt(sum(x²) + eps) in each head's run; zero stays zero.

    Args:
        x_BTW: a flow (..., W).
        heads: how many runs W is cut into.

    Returns:
        (..., W).
    """
    return _unit(x_BTW, heads, EPS)


def softmax(x_BTW: Tensor, heads: int = 1) -> Tensor:
    """Return softmax over each head's run.

    Args:
        x_BTW: a flow (..., W).
        heads: how many runs W is cut into.

    Returns:
        (..., W).
    """
    if heads == 1:
        return torch.softmax(x_BTW, -1)
    return torch.softmax(runs(x_BTW, heads), -1).flatten(-2)


class _Standard(torch.autograd.Function):
    """PyTorch's layer norm, whose own third derivative takes mean and deviation for constants.

    Nested levels differentiate a gradient of a gradient once more. Where only one derivative is
    asked for, PyTorch's kernel gives it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor | None, shift: Tensor | None) -> Tensor:
        y, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], gain, shift, EPS)
        ctx.save_for_backward(x, gain, shift, mean, rstd)
        return y

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, shift, mean, rstd = ctx.saved_tensors
        if not torch.is_grad_enabled():
            given = (d_y.contiguous(), x, x.shape[-1:], mean, rstd, gain, shift)
            wanted = list(ctx.needs_input_grad)
            return tuple(torch.ops.aten.native_layer_norm_backward(*given, wanted))
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + EPS).rsqrt()
        unit = centred * scale
        d_unit = d_y if gain is None else d_y * gain
        along = unit * (d_unit * unit).mean(-1, keepdim=True)
        d_x = (d_unit - d_unit.mean(-1, keepdim=True) - along) * scale
        if gain is None:
            return d_x, None, None
        return d_x, (d_y * unit).flatten(0, -2).sum(0), d_y.flatten(0, -2).sum(0)


def _unit(x_BTW: Tensor, heads: int, eps: float) -> Tensor:
    unit: Tensor = _Unit.apply(x_BTW, heads, eps)  # type: ignore[no-untyped-call]
    return unit


class _Unit(torch.autograd.Function):
    """x / sqrt(sum(x²) + eps) by runs: 4 passes each way, a third of what eager autograd makes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, heads: int, eps: float) -> Tensor:
        ctx.heads, ctx.eps = heads, eps
        unit, scale = _unit_and_scale(_by_heads(x, heads), eps)
        ctx.save_for_backward(x, unit, scale)
        return unit.view_as(x)

    @staticmethod
    def backward(ctx: Any, d_unit: Tensor) -> tuple[Tensor, None, None]:
        x, unit, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of this gradient are wanted: it must know x
            unit, scale = _unit_and_scale(_by_heads(x, ctx.heads), ctx.eps)
        d_runs = _by_heads(d_unit, ctx.heads)
        along = (d_runs * unit).sum(-1, keepdim=True)
        return (torch.addcmul(d_runs, unit, along, value=-1) * scale).view_as(x), None, None


def _unit_and_scale(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    scale = ((x * x).sum(-1, keepdim=True) + eps).rsqrt()
    return x * scale, scale


def _by_heads(x: Tensor, heads: int) -> Tensor:
    """Return runs of the last axis, without an axis more where there is one run."""
    return x if heads == 1 else runs(x, heads)
