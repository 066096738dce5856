"""The derivative of `step_math.step`, line by line from its end to its start.

A gradient of a tensor x is called d_x. See `step_math.py` for the formulas and the legend.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.fused import fused_shares
from nestgraph.ops.fused.events import Events
from nestgraph.ops.fused.fused_shares import Kept, Reached, Shares, SharesBack, shares_of
from nestgraph.ops.fused.step_math import ActivationGrads, Net, Trace, keys_of, trace_of
from nestgraph.ops.ttt.memory_config import MemoryConfig
from nestgraph.ops.ttt.segment_end import NewMatrix


class Gradients(NamedTuple):
    """Gradients of `Events`, summed over the members where they share."""

    anchors: list[Tensor]
    running: list[Tensor] | None  # None when it is the anchors
    rows: Tensor  # (N, R, D)
    values: Tensor | None  # (G, T, E)
    rate: Tensor  # (N, T)
    retain: Tensor  # (N, T)
    erase: Tensor | None  # (N, T)


class Below(NamedTuple):
    """What the last lines of the step, A' = Q A - Fᵀ ã, ask of one layer's net.

    Attributes:
        inputs: d of a, (n, T, in).
        gradient: d of d, (G, T, out).
        met: d of A a where that is the net's, (G, T, out), or None.
    """

    inputs: Tensor
    gradient: Tensor
    met: Tensor | None


class _Last(NamedTuple):
    """One layer's last line, back: gradients with their signs turned.

    Attributes:
        events: d of F, (G, T, out).
        keys: d of ã, (n, T, in).
        whole: d of Q[T, 0], with its own sign, (N,).
    """

    events: Tensor
    keys: Tensor
    whole: Tensor


def backward(
    config: MemoryConfig,
    events: Events,
    net: Net,
    bents: list[ActivationGrads],
    kept: Kept,
    d_moved: list[NewMatrix],
) -> Gradients:
    """Return gradients of everything a step is given, from those of its new weights."""
    shares = shares_of(config, events, keys_of(events, net), kept)
    traces = [trace_of(config, events, net, shares, layer) for layer in range(config.layers)]
    lasts = [
        _last(events, trace, weight, new.gradient, shares=layer == 0)
        for layer, (trace, weight, new) in enumerate(
            zip(traces, events.running, d_moved, strict=True)
        )
    ]
    whole = _total([last.whole for last in lasts])
    shared = fused_shares.back(
        config, events, shares, _reached(config, events, traces, lasts), whole
    )
    turned = _Turned.of(events, shares)
    below = [
        _below(events, trace, last, shares, shared, turned, layer)
        for layer, (trace, last) in enumerate(zip(traces, lasts, strict=True))
    ]
    left = events.left
    anchors = [torch.mul(new.gradient, left, out=new.place) for new in d_moved]
    running = None
    if events.running is not events.anchors:
        running, anchors = anchors, [torch.zeros_like(weight) for weight in anchors]
        below = [_met(events, net, layer, one, running[layer]) for layer, one in enumerate(below)]
    d_rows, d_values = Through(config, events, net, bents, below, anchors).run()
    d_rows[:, : events.time] += below[0].inputs
    return Gradients(
        anchors=anchors,
        running=running,
        rows=d_rows,
        values=d_values,
        rate=shared.rate,
        retain=d_retain_of(events.q, shared.q),
        erase=shared.erase,
    )


def _total(parts: list[Tensor]) -> Tensor:
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def _last(events: Events, trace: Trace, weight: Tensor, d_new: Tensor, *, shares: bool) -> _Last:
    """Carry gradients back through A' = Q A - Fᵀ ã; `shares`: all members have the same keys."""
    keys = torch.bmm(trace.events, d_new)
    if shares and events.members > 1:
        keys = events.spread(keys).sum(0)
    whole = events.spread((weight * d_new).sum((1, 2))).sum(0)
    return _Last(torch.bmm(trace.keys, d_new.mT), keys, whole)


def _reached(
    config: MemoryConfig, events: Events, traces: list[Trace], lasts: list[_Last]
) -> Reached:
    """Return what all layers ask of rates and erases."""
    rates, starts, pushes, ends = [], [], [], []
    for layer, (trace, last) in enumerate(zip(traces, lasts, strict=True)):
        rates.append(_over(events, last.events, trace.gradient, shares=layer == 0))
        if trace.met is None:
            ends.append(events.spread((last.keys * trace.inputs).sum(-1)).sum(0))
            continue
        starts.append(_over(events, last.events, trace.met, shares=layer == 0))
        pushes.append(torch.bmm(trace.inputs, last.keys.mT))
    return Reached(
        rate=torch.cat(rates),
        start=torch.cat(starts) if starts else None,
        push=events.spread(torch.cat(pushes)) if pushes else None,
        ends=_total(ends) if ends else None,
    )


def _over(events: Events, x_G: Tensor, y_G: Tensor, *, shares: bool) -> Tensor:
    """Return Σ x y over channels, and over members that share: (m, N, T)."""
    dots = events.spread((x_G * y_G).sum(-1))
    return dots.sum(0, keepdim=True) if shares else dots


class _Turned(NamedTuple):
    """Numbers a token with their signs turned, as `_Last` is.

    Attributes:
        rate: (J or 1, N, T, 1).
        start: (I or 1, N, T, 1), or None.
        ends: Q[T, 1:], (N, T, 1).
    """

    rate: Tensor
    start: Tensor | None
    ends: Tensor

    @classmethod
    def of(cls, events: Events, shares: Shares) -> _Turned:
        """Return those of all layers."""
        start = None if shares.erase is None else -shares.erase.start.unsqueeze(-1)
        return cls(-shares.rate.unsqueeze(-1), start, -events.q[:, -1, 1:, None])


def _below(
    events: Events,
    trace: Trace,
    last: _Last,
    shares: Shares,
    shared: SharesBack,
    turned: _Turned,
    layer: int,
) -> Below:
    """Carry gradients back through F and ã of one layer, to its net."""
    d_events, d_met = events.spread(last.events), None
    if trace.met is None:
        d_a = (events.spread(last.keys) * turned.ends).flatten(0, 1)
        if shared.squares is not None:
            d_a.addcmul_(trace.inputs, _flat(events, shared.squares, layer).unsqueeze(-1))
    else:
        assert shares.erase is not None
        assert shared.grams is not None
        assert turned.start is not None
        d_met = (d_events * events.of_layer(turned.start, layer)).flatten(0, 1)
        d_a = torch.bmm(_flat(events, shared.grams, layer), trace.inputs)
        d_a.baddbmm_(_flat(events, shares.erase.push, layer), last.keys, alpha=-1)
    d_gradient = d_events.mul_(events.of_layer(turned.rate, layer)).flatten(0, 1)
    return Below(d_a, d_gradient, d_met)


def _flat(events: Events, x_J: Tensor, layer: int) -> Tensor:
    return events.of_layer(x_J, layer).flatten(0, 1)


def _met(events: Events, net: Net, layer: int, below: Below, d_weight: Tensor) -> Below:
    """Carry gradients back through A a where A isn't the anchor; adds to the weight's gradient."""
    if below.met is None:
        return below
    d_weight.baddbmm_(below.met.mT, net.inputs[layer][:, : events.time])
    d_a = torch.bmm(below.met, events.running[layer])
    d_a = d_a if len(d_a) == len(below.inputs) else events.spread(d_a).sum(0)
    return below._replace(inputs=below.inputs + d_a, met=None)


class Through(NamedTuple):
    """Carry gradients back through the net's gradients, then through the net; adds to d_weights in
    place.
    """

    config: MemoryConfig
    events: Events
    net: Net
    bents: list[ActivationGrads]
    layers: list[Below]
    d_weights: list[Tensor]

    def run(self) -> tuple[Tensor, Tensor | None]:
        """Return d_rows (N, R, D), and d_values (G, T, E) or None."""
        last, time = self.config.layers - 1, self.events.time
        extras = [layer.met for layer in self.layers]
        d_miss = self.layers[0].gradient
        for index in range(last):
            d_z, d_miss = self._back(index, d_miss)
            extras[index] = _plus(d_z, extras[index])
        d_miss = d_miss if self.config.scale == 1 else d_miss.mul_(self.config.scale)
        d_keys, d_own = self._top(d_miss, extras[last])
        if not last:
            d_rows = self._shared(d_keys if d_own is None else torch.cat((d_keys, d_own), 1))
        for index in range(last - 1, -1, -1):
            extra, slope = extras[index], self.bents[index].slope
            assert extra is not None
            d_z = torch.empty_like(slope)
            torch.addcmul(extra, d_keys, slope[:, :time], out=d_z[:, :time])
            if d_own is not None:
                torch.mul(d_own, slope[:, time:], out=d_z[:, time:])
            self.d_weights[index].baddbmm_(d_z.mT, self.net.inputs[index])
            d_a = torch.bmm(d_z, self.events.anchors[index])
            if not index:
                d_rows = self._shared(d_a)
                break
            d_keys, d_own = d_a[:, :time], None if d_own is None else d_a[:, time:]
            d_keys += self.layers[index].inputs
        if self.config.adds_input:
            self._add_input(d_rows, d_miss)
        return d_rows, d_miss.neg_() if self._is_given else None

    def _add_input(self, d_rows: Tensor, d_miss: Tensor) -> None:
        """Add gradients through the net's own rows, which are part of its answers."""
        apart, time = self._shared(d_miss), self.events.time
        if self.config.objective != "dot":
            d_rows[:, :time] += apart
        if not self._is_given:
            d_rows[:, time:] -= apart

    @property
    def _is_given(self) -> bool:
        return self.events.values is not None

    def _shared(self, x_G: Tensor) -> Tensor:
        return self.events.spread(x_G).sum(0)

    def _back(self, index: int, d_gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Carry gradients back through d = (W above)ᵀ (d above) s'(z): d_z of the keys, and d of d
        above.
        """
        net, above, (slope, bend) = self.net, index + 1, self.bents[index]
        d_z = bend.mul_(d_gradient).mul_(net.backs[index])
        d_back = d_gradient * slope[:, : self.events.time]
        self.d_weights[above].baddbmm_(net.gradients[above].mT, d_back)
        d_above = self.layers[above].gradient
        return d_z, d_above.baddbmm_(d_back, self.events.anchors[above].mT)

    def _top(self, d_miss: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Carry gradients back through the last layer's answers: d of its inputs from keys, and
        from self values.
        """
        time, a, d_weight = self.events.time, self.net.inputs[-1], self.d_weights[-1]
        weight, difference = self.events.anchors[-1], self.net.difference
        into = self.layers[-1].inputs if self.config.layers > 1 else None
        if difference is not None:
            d_weight.baddbmm_(d_miss.mT, difference)
            d_keys = torch.bmm(d_miss, weight)
            return d_keys if into is None else into + d_keys, -d_keys
        d_own = None
        if not self._is_given:
            d_weight.baddbmm_(d_miss.mT, a[:, time:], alpha=-1)
            d_own = d_miss.new_empty(a[:, time:].shape)
            d_own.baddbmm_(d_miss, weight, beta=0, alpha=-1)
        d_y = extra
        if self.config.objective != "dot":
            d_y = d_miss if extra is None else extra.add_(d_miss)
        if d_y is None:
            return a.new_zeros(a[:, :time].shape) if into is None else into, d_own
        d_weight.baddbmm_(d_y.mT, a[:, :time])
        through = torch.bmm(d_y, weight) if into is None else into.baddbmm_(d_y, weight)
        return through, d_own


def _plus(into: Tensor, x: Tensor | None) -> Tensor:
    """Return into += x, in place."""
    return into if x is None else into.add_(x)


def d_retain_of(q: Tensor, d_q: Tensor) -> Tensor:
    """Return d_retain (N, T): every product that spans moment s holds retention s once.

    With Q[t, j] = Q[t, s] α_s Q[s-1, j]: the sum over t >= s > j of d_Q[t, j] Q[t, s] Q[s-1, j].
    No division, so it holds for zero and negative retention too. Of d_Q the last row may be all.
    """
    if d_q.shape[1] > 1:
        spans = torch.bmm(q[:, 1:, 1:].mT, d_q[:, 1:, :-1])
    else:
        spans = q[:, -1, 1:, None] * d_q[..., :-1]
    return spans.mul_(q[:, :-1, :-1]).sum(-1)
