"""An RMS norm within each head and the SiLU gate behind it, in one walk over the flow.

    y = x / sqrt(mean(x²) + eps) · gain · silu(g)

Positions are taken a block at a time, so that all passes but the first and the last find their
numbers in the cache.

Legend: B batch, T time, W width of a flow, H heads, d channels of a head; R = B·T rows.
FLOPs a channel: about 17, and 30 backward. Bytes in main memory: x, g and y once, their gradients
as often; kept are x, g and a number a head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops.common.layout import runs
from nestgraph.ops.common.norms import EPS, rms_norm

BLOCK = 1 << 16
"""Numbers of a block for each thread; a few times as many fill a cache of 2 MB."""


def gated_norm(x_BTW: Tensor, gain_W: Tensor, gate_BTW: Tensor, heads: int = 1) -> Tensor:
    """Return `rms_norm` times the SiLU of a gate.

    Args:
        x_BTW: a flow (..., W).
        gain_W: (W,), one factor a channel.
        gate_BTW: a flow (..., W), which the SiLU has not seen yet.
        heads: how many runs W is cut into.

    Returns:
        (..., W).
    """
    y: Tensor = _Gated.apply(x_BTW, gain_W, gate_BTW, heads)  # type: ignore[no-untyped-call]
    return y


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, gate: Tensor, heads: int) -> Tensor:
        x_RHd, gate_RW = runs(_rows(x), heads), _rows(gate)
        y_RW, scale_RH1 = x.new_empty(gate_RW.shape), x.new_empty(*x_RHd.shape[:2], 1)
        width = x_RHd.shape[-1]
        factor = gain * math.sqrt(width)
        for part in _blocks(gate_RW):
            x_part, y, scale = x_RHd[part], y_RW[part], scale_RH1[part]
            torch.rsqrt((x_part * x_part).sum(-1, keepdim=True).add_(EPS * width), out=scale)
            torch.ops.aten.silu.out(gate_RW[part], out=y)
            runs(y.mul_(factor), heads).mul_(x_part).mul_(scale)
        ctx.heads = heads
        ctx.save_for_backward(x, gain, gate, scale_RH1)
        return y_RW.view(x.shape)

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, gate, scale_RH1 = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of this gradient are wanted: step by step
            with torch.enable_grad():
                y = rms_norm(x, gain, ctx.heads) * F.silu(gate)
            wanted = [t for t in (x, gain, gate) if t.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, d_y, create_graph=True))
            return *(next(found) if t.requires_grad else None for t in (x, gain, gate)), None
        flows = (runs(_rows(x), ctx.heads), scale_RH1, _rows(gate), _rows(d_y))
        d_x, d_gate = torch.empty_like(flows[0]), torch.empty_like(flows[2])
        d_gain, root = torch.zeros_like(gain), math.sqrt(flows[0].shape[-1])
        for part in _blocks(d_gate):
            given = [flow[part] for flow in flows]
            d_gain += _back(given, gain * root, (d_x[part], d_gate[part]))
        return d_x.view(x.shape), d_gain.mul_(root), d_gate.view(x.shape), None


def _back(given: Sequence[Tensor], factor_W: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
    """Fill in the gradients of x and of the gate; that of the factor (W,)."""
    x_RHd, scale_RH1, gate_RW, d_y_RW = given
    heads = x_RHd.shape[1]
    unit_RW = (x_RHd * scale_RH1).flatten(1)
    torch.ops.aten.silu_backward.grad_input(
        (unit_RW * factor_W).mul_(d_y_RW), gate_RW, grad_input=targets[1]
    )
    d_normed = F.silu(gate_RW).mul_(d_y_RW)
    products = d_normed * unit_RW
    d_factor = products.sum(0)
    along_RH1 = runs(products.mul_(factor_W), heads).sum(-1, keepdim=True)
    d_unit, unit_RHd = runs(d_normed.mul_(factor_W), heads), runs(unit_RW, heads)
    torch.addcmul(d_unit, unit_RHd, along_RH1, value=-1, out=targets[0]).mul_(scale_RH1)
    return d_factor


def _rows(flow: Tensor) -> Tensor:
    """Return (..., W) as (R, W)."""
    return flow.reshape(-1, flow.shape[-1])


def _blocks(flow_RW: Tensor) -> Iterator[slice]:
    """Yield rows that are taken at once; all of them where there is no cache to stay in."""
    rows, width = flow_RW.shape
    many = max(1, rows)
    if flow_RW.device.type == "cpu":
        many = max(1, BLOCK * torch.get_num_threads() // width)
    for begin in range(0, rows, many):
        yield slice(begin, begin + many)
