"""Reads of a memory whose state at every token goes through a mirror map.

y_t = W_t x_t with W_t = mirror(A_t) of `mirrors.py` and A_t a sum of `sums.py`. No state is kept:
blocks of them are made, mapped and asked in the cache, and once more for the backward. With d the
gradient at y,

    softmax: W ∘ (d xᵀ - (d ∘ y) 1ᵀ)
    lq:      d xᵀ / s - (d·y)(q - 2) / N · |A|^(q-1) sign A,  N = Σ|A|^q + eps, s = N^((q-2)/q)

is the gradient at A, and Wᵀ d that at x.

Legend: B batch, H heads, M stacked memories, g groups of them, T tokens, J events, E rows and D
columns of a matrix; N is 1 where all members share a tensor, else M.
FLOPs a token for E·D numbers: (2J + 10)·E·D forward, (6J + 20)·E·D more backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.fused.sums import Sums, grouped
from nestgraph.ops.history.mirrors import EPS
from nestgraph.ops.history.newton_schulz_rounds import blocks
from nestgraph.ops.ttt.memory_config import MemoryConfig


def mirrored_read(
    config: MemoryConfig,
    x_BHNTD: Tensor,
    weights_BHMED: Tensor,
    start: Tensor,
    events: Tensor,
    writes_BHMJE: Tensor,
    inputs_BHNJD: Tensor,
) -> Tensor:
    """Return every token's vector through its own matrix.

    Args:
        config: says which map.
        x_BHNTD: the vectors.
        weights_BHMED: A_0.
        start: what is left of it, (B or 1, H or 1, 1, T, 1).
        events: what is left of each event at each token, (B or 1, H or 1, 1, T, J).
        writes_BHMJE: what the events take away.
        inputs_BHNJD: where.

    Returns:
        (B, H, M, T, E).
    """
    lead = (*weights_BHMED.shape[:3],)
    flows = [grouped(x, lead, 2) for x in (x_BHNTD, events, writes_BHMJE, inputs_BHNJD)]
    flows += [grouped(start.squeeze(-1), lead, 1), grouped(weights_BHMED, lead, 2)]
    y: Tensor = _MirroredRead.apply(config, *flows)  # type: ignore[no-untyped-call]
    return y.view(*lead, *y.shape[1:])


class _MirroredRead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, config: MemoryConfig, x_gTD: Tensor, *flows: Tensor) -> Tensor:
        ctx.config, sums, first = config, Sums(*flows), flows[-1]
        y_gTE = first.new_empty(len(first), x_gTD.shape[1], first.shape[1])
        for some in blocks(first, x_gTD.shape[1]):
            part = sums.of(some)
            states = part.matrices(*part.pairs())
            x = x_gTD[some].flatten(0, 1).unsqueeze(1)
            y_gTE[some] = torch.bmm(x, _weights(config, states).mT).view_as(y_gTE[some])
        ctx.save_for_backward(x_gTD, y_gTE, *flows)
        return y_gTE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y_gTE: Tensor) -> tuple[Tensor | None, ...]:
        x_gTD, y_gTE, *flows = ctx.saved_tensors
        sums, found = Sums(*flows), []
        for some in blocks(flows[-1], x_gTD.shape[1]):
            part = sums.of(some)
            pairs = part.pairs()
            states = part.matrices(*pairs)
            x, y, d_y = (flow[some].flatten(0, 1).unsqueeze(1) for flow in (x_gTD, y_gTE, d_y_gTE))
            d_x, d_states = _back(ctx.config, states, x, y, d_y)
            d_states = d_states.unflatten(0, (-1, x_gTD.shape[1]))
            found.append((d_x.view_as(x_gTD[some]), *part.gradients(*pairs, d_states)))
        return None, *(torch.cat(parts) for parts in zip(*found, strict=True))


def _weights(config: MemoryConfig, states_NED: Tensor) -> Tensor:
    """Return W; may write over the states."""
    if config.mirror == "softmax":
        return torch.softmax(states_NED, -1)
    total, _ = _total(states_NED, config.mirror_power)
    return states_NED.div_(total.pow((config.mirror_power - 2) / config.mirror_power))


def _back(
    config: MemoryConfig, states_NED: Tensor, x_N1D: Tensor, y_N1E: Tensor, d_N1E: Tensor
) -> tuple[Tensor, Tensor]:
    """Return gradients at x (N, 1, D) and A (N, E, D)."""
    if config.mirror == "softmax":
        weights = torch.softmax(states_NED, -1)
        d_x = torch.bmm(d_N1E, weights)
        left = torch.cat((d_N1E, -d_N1E * y_N1E), 1)
        right = torch.cat((x_N1D, torch.ones_like(x_N1D)), 1)
        return d_x, weights.mul_(torch.bmm(left.mT, right))
    q = config.mirror_power
    total, powers = _total(states_NED, q)
    d_N1E = d_N1E / total.pow((q - 2) / q)
    d_x = torch.bmm(d_N1E, states_NED)
    # d_x·x is d·y.
    pull = (d_x * x_N1D).sum(-1, keepdim=True) * ((2 - q) / total)
    return d_x, powers.mul_(pull).baddbmm_(d_N1E.mT, x_N1D)


def _total(states_NED: Tensor, q: float) -> tuple[Tensor, Tensor]:
    """Return Σ|A|^q + eps (N, 1, 1), and |A|^(q-1) sign A; without a power of a float where q
    is 4.
    """
    if q == 4:
        powers = states_NED.square()
        total = torch.linalg.vecdot(powers.flatten(1), powers.flatten(1))
        return (total + EPS).view(-1, 1, 1), powers.mul_(states_NED)
    powers = states_NED.abs().pow_(q - 1).copysign_(states_NED)
    return (powers * states_NED).sum((-2, -1), keepdim=True) + EPS, powers
