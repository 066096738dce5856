"""Causal depthwise convolution over time, with its tail of past inputs.

A few taps are a few shifted products; general convolutions spend ten times that on a CPU, most of
it on turning the layout around.

Legend: B batch, T time, W channels, K taps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def causal_conv(x_BTW: Tensor, weight_WK: Tensor, tail_BKW: Tensor) -> tuple[Tensor, Tensor]:
    """y_t = sum_j weight[:, j] · x_{t-(K-1)+j}: each channel mixes its own last K inputs.

    The last tap is the present token. Costs 2·K FLOPs a channel and token, twice that backward.

    Args:
        x_BTW: inputs (B, T, W).
        weight_WK: taps (W, K).
        tail_BKW: the K-1 inputs before x, (B, K-1, W); zeros at the start of a sequence.

    Returns:
        The outputs (B, T, W), and the tail (B, K-1, W) that continues the sequence.
    """
    taps = weight_WK.shape[1]
    padded = torch.cat((tail_BKW, x_BTW), 1) if taps > 1 else x_BTW
    y: Tensor = _Taps.apply(padded, weight_WK)  # type: ignore[no-untyped-call]
    return y, padded[:, padded.shape[1] - taps + 1 :]


class _Taps(torch.autograd.Function):
    """Inputs (B, T + K - 1, W) and taps (W, K) to outputs (B, T, W)."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(padded, weight)
        time = padded.shape[1] - weight.shape[1] + 1
        first, *others = weight.mT.contiguous().unbind(0)  # strided taps cost four times as much
        y = padded[:, :time] * first
        for shift, tap in enumerate(others, 1):
            y.addcmul_(padded[:, shift : shift + time], tap)
        return y

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, Tensor]:
        padded, weight = ctx.saved_tensors
        time, d_padded, d_taps = d_y.shape[1], torch.zeros_like(padded), []
        for shift, tap in enumerate(weight.mT.contiguous().unbind(0)):
            seen = slice(shift, shift + time)
            d_padded[:, seen].addcmul_(d_y, tap)
            d_taps.append((padded[:, seen] * d_y).sum((0, 1)))
        return d_padded, torch.stack(d_taps, 1)
