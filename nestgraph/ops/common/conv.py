"""Causal depthwise convolution over time, with its tail of past inputs, and what often follows it.

A few taps are a few shifted products; general convolutions spend ten times that on a CPU, most of
it on turning the layout around. Time is taken a block at a time, so that all passes but the first
and the last find their numbers in the cache.

Legend: B batch, T time, W channels, K taps, d channels of a head.
FLOPs a channel and token: 2 K, about 10 for the SiLU and 4 for the norm; twice that backward.
Bytes in main memory: inputs and outputs once, both ways; kept are the inputs, what the SiLU saw,
and behind a norm its outputs and a number a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops.common.layout import runs
from nestgraph.ops.common.norms import EPS, l2_norm

BLOCK = 1 << 16
"""Numbers of a block for each thread; a few times as many fill a cache of 2 MB."""


def causal_conv(
    x_BTW: Tensor, weight_WK: Tensor, tail_BKW: Tensor, *, silu: bool = False, unit: int = 0
) -> tuple[Tensor, Tensor]:
    """Return y_t = sum_j weight[:, j] · x_{t-(K-1)+j}: each channel mixes its own last K inputs.

    The last tap is the present token.

    Args:
        x_BTW: inputs (B, T, W).
        weight_WK: taps (W, K).
        tail_BKW: the K-1 inputs before x, (B, K-1, W); zeros at the start of a sequence.
        silu: the outputs go through a SiLU.
        unit: then through an l2 norm, in so many heads; 0 for none.

    Returns:
        The outputs (B, T, W), and the tail (B, K-1, W) that continues the sequence.
    """
    y: Tensor = _Taps.apply(x_BTW, weight_WK, tail_BKW, silu, unit)  # type: ignore[no-untyped-call]
    past = tail_BKW.shape[1]
    if x_BTW.shape[1] >= past:
        return y, x_BTW[:, x_BTW.shape[1] - past :]
    return y, torch.cat((tail_BKW, x_BTW), 1)[:, x_BTW.shape[1] :]


class _Taps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, tail: Tensor, silu: bool, unit: int) -> Tensor:
        taps, y = weight.mT.contiguous().unbind(0), x.new_empty(x.shape)
        z = x.new_empty(x.shape) if silu else y
        scale = x.new_empty(*x.shape[:2], unit, 1)
        for begin, seen in _blocks(x, tail):
            part = slice(begin, begin + seen.shape[1] - tail.shape[1])
            mixed = _mix(seen, taps, z[:, part])
            if silu:
                torch.ops.aten.silu.out(mixed, out=y[:, part])
            if unit:
                heads = runs(y[:, part], unit)
                scale[:, part] = _scale(heads)
                heads.mul_(scale[:, part])
        ctx.silu, ctx.unit = silu, unit
        ctx.save_for_backward(x, weight, tail, scale, z if silu else None, y if unit else None)
        return y

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, tail, scale, *kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of this gradient are wanted: step by step
            with torch.enable_grad():
                y = _plain(x, weight, tail, ctx.silu, ctx.unit)
            wanted = [t for t in (x, weight, tail) if t.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, d_y, create_graph=True))
            return (
                *(next(found) if t.requires_grad else None for t in (x, weight, tail)),
                None,
                None,
            )
        past, taps = tail.shape[1], weight.mT.contiguous().unbind(0)
        d_seen = x.new_empty(x.shape[0], past + x.shape[1], x.shape[2])
        d_seen[:, :past] = 0
        d_taps = weight.new_zeros(len(taps), weight.shape[0])
        for begin, seen in _blocks(x, tail):
            time = seen.shape[1] - past
            part = slice(begin, begin + time)
            mixed, normed = (None if flow is None else flow[:, part] for flow in kept)
            d_z = _back(d_y[:, part], mixed, normed, scale[:, part])
            # Rows behind those of the last block are new: the last tap is written, not added.
            torch.mul(d_z, taps[-1], out=d_seen[:, begin + past : begin + past + time])
            for shift, tap in enumerate(taps[:-1]):
                d_seen[:, begin + shift : begin + shift + time].addcmul_(d_z, tap)
            for shift, d_tap in enumerate(d_taps.unbind(0)):
                d_tap += (seen[:, shift : shift + time] * d_z).sum((0, 1))
        return d_seen[:, past:], d_taps.mT, d_seen[:, :past], None, None


def _blocks(x: Tensor, tail: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield where each block begins, and its inputs with those of the K-1 positions before it."""
    batch, time, width = x.shape
    past, long = tail.shape[1], time
    if x.device.type == "cpu":
        long = max(past, 1, BLOCK * torch.get_num_threads() // max(1, batch * width))
    for begin in range(0, time, long):
        end = min(begin + long, time)
        if begin >= past:
            yield begin, x[:, begin - past : end]
        else:
            yield begin, torch.cat((tail, x[:, :end]), 1)


def _mix(seen: Tensor, taps: tuple[Tensor, ...], out: Tensor) -> Tensor:
    time = seen.shape[1] - len(taps) + 1
    torch.mul(seen[:, :time], taps[0], out=out)
    for shift, tap in enumerate(taps[1:], 1):
        out.addcmul_(seen[:, shift : shift + time], tap)
    return out


def _scale(heads: Tensor) -> Tensor:
    """Return what makes each run of channels one long."""
    return (heads * heads).sum(-1, keepdim=True).add_(EPS).rsqrt_()


def _back(d_y: Tensor, z: Tensor | None, y: Tensor | None, scale: Tensor) -> Tensor:
    """Return the gradient of the mix of taps, from what the SiLU saw and what the norm made."""
    if y is not None:
        unit = scale.shape[2]
        long, d_heads = runs(y, unit), runs(d_y.contiguous(), unit)
        along = (d_heads * long).sum(-1, keepdim=True)
        d_y = torch.addcmul(d_heads, long, along, value=-1).mul_(scale).flatten(-2)
    if z is None:
        return d_y
    back: Tensor = torch.ops.aten.silu_backward(d_y, z)
    return back


def _plain(x: Tensor, weight: Tensor, tail: Tensor, silu: bool, unit: int) -> Tensor:
    """Return the same in operators that can be differentiated as often as one likes."""
    padded, time = torch.cat((tail, x), 1), x.shape[1]
    terms = [padded[:, j : j + time] * tap for j, tap in enumerate(weight.unbind(1))]
    y = torch.stack(terms).sum(0)
    y = F.silu(y) if silu else y
    return l2_norm(y, unit) if unit else y
