"""The write and advance of one segment as a single step, with its derivative by hand.

Eager autograd spends most of a short segment on bookkeeping and copies. This module computes the
same numbers as `ttt_chunk.py` for forms without momentum and `retain_first`, when nothing reads
the running weights inside the segment (reads at the boundary are `answer`s).

With Q the products of retention between any two moments 0 (the start) .. T of the segment, and
a_t, d_t the input and gradient of a layer at the anchor:

    F = rate d + erase Q[:T, 0] (A a)            L = erase (Q[:T, 1:] ∘ a aᵀ)
    A' = Q[T, 0] A - Fᵀ ã                        ã = (I + L)^-ᵀ Q[T, 1:] a

The inverse is applied to the keys, not to F: members share their first layer's keys, so they
share ã. Numbers a token or a pair of tokens are in `fused_shares.py`. Where nothing is erased,
L = 0. With own answers as values the last layer sees only a(key) - a(value): one product for both,
unless its answers to the keys are needed to erase.
The backward (`fused_backward.py`) retraces these lines.

Legend: B batch, H heads, N = B·H, M members (the outermost axis here), G = M·N, T tokens, D key
width, E value width; m is 1 at the first layer, whose inputs all members share, else M, and
n = m·N; R rows of the forward: T keys, and T self values below them if there are any.
FLOPs a member and token for a net of L layers with W weights each: 6LW - 2W forward with given
values (2(L - 1)W more with self values), about twice that backward; of order T·D a layer more for
the pairs of tokens. Kept for the backward: z and what comes back above it, (R + T)·D numbers a
member and layer, and the weights; the rest is quicker to make again than to fetch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.fused.events import Events
from nestgraph.ops.fused.fused_shares import Kept, Shares, shares_of
from nestgraph.ops.ttt.memory_config import MemoryConfig


class Trace(NamedTuple):
    """One layer of a step.

    Attributes:
        inputs: a of keys, (n, T, in).
        gradient: d, (G, T, out).
        met: A a, (G, T, out); None where nothing is erased.
        events: F, (G, T, out).
        keys: ã, (G, T, in).
    """

    inputs: Tensor
    gradient: Tensor
    met: Tensor | None
    events: Tensor
    keys: Tensor


class Net(NamedTuple):
    """The net at the anchor.

    Attributes:
        inputs: a of every layer, (G, R, in).
        outputs: z = W a, (G, R, out); of the last layer (G, T, out), or None unless it erases.
        backs: d of the layer above brought back, before the slope, (G, T, out); not of the last.
        gradients: d of every layer, (G, T, out).
        difference: a(key) - a(value) at the last layer, (G, T, in), if that is what it saw.
    """

    inputs: list[Tensor]
    outputs: list[Tensor | None]
    backs: list[Tensor]
    gradients: list[Tensor]
    difference: Tensor | None


def retentions(retain_NT: Tensor, *, signed: bool) -> Tensor:
    """Return Q (N, T+1, T+1): the product of retentions after moment j up to moment t, 0 for j
    > t.
    """
    groups, time = retain_NT.shape
    if signed:
        moments = torch.cat((retain_NT.new_ones(groups, 1), retain_NT), 1).unsqueeze(-1)
        later = torch.ones(time + 1, time + 1, dtype=torch.bool, device=retain_NT.device).tril(-1)
        return torch.where(later, moments, 1.0).cumprod(-2).tril_()
    logs = retain_NT.new_zeros(groups, time + 1)
    tiny = torch.finfo(retain_NT.dtype).tiny
    torch.cumsum(retain_NT.clamp_min(tiny).log_(), 1, out=logs[:, 1:])
    return (logs.unsqueeze(-1) - logs.unsqueeze(-2)).exp_().tril_()


class ActivationGrads(NamedTuple):
    """Of the activation behind a layer: s', (G, R, out), and s'' of the keys, (G, T, out)."""

    slope: Tensor
    bend: Tensor


def takes_difference(config: MemoryConfig, events: Events) -> bool:
    """Return whether the last layer sees keys and values only as their difference."""
    own = events.values is None and config.objective == "l2"
    return own and not config.erases(config.layers - 1)


def step(config: MemoryConfig, events: Events) -> tuple[list[Tensor], Net, Kept]:
    """Return new weights of every layer (G, out, in), and what the backward wants to keep."""
    net, left, moved = net_of(config, events), events.left, []
    shares = shares_of(config, events, keys_of(events, net))
    for layer, weight in enumerate(events.running):
        trace = trace_of(config, events, net, shares, layer)
        moved.append((weight * left).baddbmm_(trace.events.mT, trace.keys, alpha=-1))
    return moved, net, shares.kept


def keys_of(events: Events, net: Net) -> list[Tensor]:
    """Return keys' inputs of all layers, (n, T, in)."""
    return [events.alone(a, layer) for layer, a in enumerate(net.inputs)]


def net_of(config: MemoryConfig, events: Events) -> Net:
    """Return forward for keys and values, and backward for the keys."""
    time, activation = events.time, config.nonlinearity
    inputs: list[Tensor] = [events.rows]
    outputs: list[Tensor] = []
    for weight in events.anchors[:-1]:
        outputs.append(torch.bmm(inputs[-1], weight.mT))
        inputs.append(activation.value(outputs[-1]))
    gradient, answer, difference = _top(config, events, inputs[-1])
    gradients: list[Tensor] = [gradient]
    backs: list[Tensor] = []
    for layer in range(config.layers - 2, -1, -1):
        backs.insert(0, torch.bmm(gradients[0], events.anchors[layer + 1]))
        z, a = outputs[layer][:, :time], inputs[layer + 1][:, :time]
        gradients.insert(0, activation.times_slope(backs[0], z, a))
    return Net(inputs, [*outputs, answer], backs, gradients, difference)


def renewed(
    config: MemoryConfig,
    events: Events,
    outputs: list[Tensor | None],
    backs: list[Tensor],
    top: Tensor,
) -> tuple[Net, list[ActivationGrads]]:
    """Return the net from what was kept of it, without a product; `top` is d of the last layer."""
    time, inputs, gradients, bents = events.time, [events.rows], [top], []
    for z, back in zip(outputs, backs, strict=False):
        assert z is not None
        a, slope, bend = config.nonlinearity.bent(z, time)
        inputs.append(a)
        gradients.insert(-1, back * slope[:, :time])
        bents.append(ActivationGrads(slope, bend))
    a, difference = inputs[-1], None
    if takes_difference(config, events):
        difference = a[:, :time] - a[:, time:]
    return Net(inputs, outputs, backs, gradients, difference), bents


def _top(
    config: MemoryConfig, events: Events, a: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return gradient at the net's output (G, T, E); answers to keys to erase, or what it saw
    instead.
    """
    time, last = events.time, events.anchors[-1].mT
    keys, own = a[:, :time], a[:, time:]
    if takes_difference(config, events):
        difference = keys - own
        miss = _with_own(config, events, torch.bmm(difference, last))
        return _scaled(miss, config.scale), None, difference
    erases, values = config.erases(config.layers - 1), events.values
    y = torch.bmm(keys, last) if erases or config.objective == "l2" else None
    answer = y if erases else None
    if config.objective == "dot":
        values = _own_values(config, events, own) if values is None else values
        return values * -config.scale, answer, None
    assert y is not None
    if values is None:
        miss = _with_own(config, events, torch.baddbmm(y, own, last, alpha=-1))
    else:
        miss = y - values
        if config.adds_input:
            miss += events.rows[:, :time]
    return _scaled(miss, config.scale), answer, None


def _own_values(config: MemoryConfig, events: Events, a: Tensor) -> Tensor:
    y = torch.bmm(a, events.anchors[-1].mT)
    return y.add_(events.rows[:, events.time :]) if config.adds_input else y


def _with_own(config: MemoryConfig, events: Events, miss: Tensor) -> Tensor:
    """Return what answers miss of self values, where both contain their question."""
    if config.adds_input:
        rows, time = events.rows[: events.groups], events.time
        events.spread(miss).add_(rows[:, :time] - rows[:, time:])
    return miss


def _scaled(x: Tensor, scale: float) -> Tensor:
    return x if scale == 1 else x.mul_(scale)


def trace_of(config: MemoryConfig, events: Events, net: Net, shares: Shares, layer: int) -> Trace:
    """Return F and ã of one layer."""
    alone, met, erase = events.alone(net.inputs[layer], layer), None, shares.erase
    gradient, rate = net.gradients[layer], events.of_layer(shares.rate, layer)
    writes = events.spread(gradient) * rate.unsqueeze(-1)
    if erase is not None and config.erases(layer):
        met, start = _met(events, net, layer), events.of_layer(erase.start, layer)
        writes.addcmul_(events.spread(met), start.unsqueeze(-1))
        keys = torch.bmm(events.of_layer(erase.push, layer).flatten(0, 1).mT, alone)
    else:
        keys = (events.spread(alone) * events.q[:, -1, 1:, None]).flatten(0, 1)
    if layer == 0 and events.members > 1:
        keys = keys.expand(events.members, *keys.shape).flatten(0, 1)
    return Trace(alone, gradient, met, writes.flatten(0, 1), keys)


def _met(events: Events, net: Net, layer: int) -> Tensor:
    """Return a a of the keys: already there if A is the anchor."""
    outputs = net.outputs[layer]
    if events.running is events.anchors and outputs is not None:
        return outputs[:, : events.time]
    return torch.bmm(net.inputs[layer][:, : events.time], events.running[layer].mT)
