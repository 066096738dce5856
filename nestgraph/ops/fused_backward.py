"""The derivative of `fused.step`, line by line from its end to its start.

A gradient of a tensor x is called d_x. See `fused.py` for the formulas and the legend.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.form import Form
from nestgraph.ops.fused import Events, Net, Solve, Trace, trace_of


class Gradients(NamedTuple):
    """Gradients of `Events`, summed over the members where they share."""

    anchors: list[Tensor]
    running: list[Tensor] | None  # None when it is the anchors
    rows: Tensor  # (N, R, D)
    values: Tensor | None  # (G, T, E)
    rate: Tensor  # (N, T)
    retain: Tensor  # (N, T)
    erase: Tensor | None  # (N, T)


class NewWeight(NamedTuple):
    """The gradient of a layer's new weights (G, out, in), and whether it may be written to."""

    gradient: Tensor
    ours: bool

    @property
    def place(self) -> Tensor:
        """Where the gradient of the old weights goes, once this one has been read."""
        return self.gradient if self.ours else torch.empty_like(self.gradient)


class LayerGradients(NamedTuple):
    """What the last lines of the step, A' = Q A - Fᵀ ã, ask of one layer."""

    weight: Tensor  # (G, out, in), what reaches A apart from A a
    inputs: Tensor  # (n, T, in)
    gradient: Tensor  # (G, T, out)
    met: Tensor | None  # (G, T, out)
    rate: Tensor  # (N, T)
    erase: Tensor | None  # (N, T), where it isn't the rate
    q: Tensor  # (N, T+1, T+1), or its last row alone: (N, 1, T+1)


def backward(
    form: Form,
    events: Events,
    net: Net,
    solves: list[Solve | None],
    d_moved: list[NewWeight],
) -> Gradients:
    """Gradients of everything a step is given, from those of its new weights."""
    traces = [trace_of(form, events, net, layer, solve) for layer, solve in enumerate(solves)]
    layers = [
        _layer(events, trace, events.running[layer], d_moved[layer], shares=layer == 0)
        for layer, trace in enumerate(traces)
    ]
    anchors, running = [layer.weight for layer in layers], None
    if events.running is not events.anchors:
        running, anchors = anchors, [torch.zeros_like(weight) for weight in anchors]
        layers = [
            _met(events, layer, trace, weight)
            for layer, trace, weight in zip(layers, traces, events.running, strict=True)
        ]
    d_rows, d_values = Through(form, events, net, layers, anchors).run()
    d_rows[:, : events.time] += layers[0].inputs
    erases = [layer.erase for layer in layers if layer.erase is not None]
    return Gradients(
        anchors=anchors,
        running=running,
        rows=d_rows,
        values=d_values,
        rate=_total([layer.rate for layer in layers]),
        retain=d_retain_of(events.q, [layer.q for layer in layers]),
        erase=_total(erases) if erases else None,
    )


def _total(parts: list[Tensor]) -> Tensor:
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def _layer(
    events: Events, trace: Trace, weight: Tensor, new: NewWeight, *, shares: bool
) -> LayerGradients:
    """Back through one layer's F, ã and rates; `shares`: all members have the same inputs."""
    q, d_new = events.q, new.gradient
    a = trace.inputs[: events.groups if shares else None, : events.time]
    d_events = events.spread(torch.bmm(trace.keys, d_new.mT).neg_())
    d_keys = torch.bmm(trace.events, d_new).neg_()
    d_keys = events.spread(d_keys).sum(0) if shares else d_keys
    d_rate = _over(d_events * events.spread(trace.gradient), shares)
    d_whole = events.spread((weight * d_new).sum((1, 2))).sum(0)
    d_met, d_erase = None, None
    if trace.erase is None:
        d_led = d_keys
        d_end = events.spread((d_led * a).sum(-1)).sum(0)
        d_q = torch.cat((d_whole.unsqueeze(-1), d_end), 1).unsqueeze(1)
    else:
        assert trace.met is not None
        d_meet = _over(d_events * events.spread(trace.met), shares)
        d_met = (d_events * (trace.erase * q[:, :-1, 0]).unsqueeze(-1)).flatten(0, 1)
        d_q = torch.empty_like(q)
        d_q[:, -1, 0] = d_whole
        d_q[:, :-1, 0] = (d_meet * trace.erase).sum(0)
        d_led, d_grams, d_erase = _solve(events, trace, a, d_keys, d_q)
        d_erase.addcmul_(d_meet, q[:, :-1, 0])
        if events.erase is None:
            d_rate, d_erase = d_rate.add_(d_erase), None
    d_a = (events.spread(d_led) * q[:, -1, 1:, None]).flatten(0, 1)
    if trace.erase is not None:
        d_a.baddbmm_(d_grams, a)
    if trace.shrink is not None:
        # r' = r / (1 + r |a|²): its derivatives are shrink² and -r'².
        d_square = d_rate * trace.rate.square()
        d_a.addcmul_(a, d_square.flatten(0, 1).unsqueeze(-1), value=-2)
        d_rate.mul_(trace.shrink).mul_(trace.shrink)
    d_gradient = d_events.mul_(trace.rate.unsqueeze(-1)).flatten(0, 1)
    return LayerGradients(
        weight=torch.mul(d_new, events.left, out=new.place),
        inputs=d_a,
        gradient=d_gradient,
        met=d_met,
        rate=d_rate.sum(0),
        erase=None if d_erase is None else d_erase.sum(0),
        q=d_q,
    )


def _over(x_MNTE: Tensor, shares: bool) -> Tensor:
    """Summed over channels, and over members that share: (m, N, T)."""
    return x_MNTE.sum(-1).sum(0, keepdim=True) if shares else x_MNTE.sum(-1)


def _solve(
    events: Events, trace: Trace, a: Tensor, d_keys: Tensor, d_q: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Back through ã = (I + L)^-ᵀ (Q[T, 1:] a), as far as Q[T, 1:] a, a aᵀ and erase.

    Returns:
        d of Q[T, 1:] a (n, T, in), of a aᵀ and its transpose (n, T, T), of erase (m, N, T).
    """
    assert trace.solve is not None
    assert trace.erase is not None
    q, erase = events.q[:, :-1, 1:], trace.erase.unsqueeze(-1)
    d_led = torch.bmm(trace.solve.inverse, d_keys)
    d_q[:, -1, 1:] = events.spread((d_led * a).sum(-1)).sum(0)
    d_lower = torch.bmm(trace.keys[: len(a)], d_led.mT).neg_()
    by_gram = events.spread(d_lower * trace.solve.grams)
    d_q[:, :-1, 1:] = (by_gram * erase).sum(0)
    d_erase = by_gram.mul_(q).sum(-1)
    d_grams = events.spread(d_lower).mul_(q).mul_(erase).flatten(0, 1)
    return d_led, d_grams + d_grams.mT, d_erase


def _met(events: Events, layer: LayerGradients, trace: Trace, weight: Tensor) -> LayerGradients:
    """Back through A a where A isn't the anchor; adds to the weight's gradient."""
    if layer.met is None:
        return layer
    layer.weight.baddbmm_(layer.met.mT, trace.inputs[:, : events.time])
    d_a = torch.bmm(layer.met, weight)
    d_a = d_a if len(d_a) == len(layer.inputs) else events.spread(d_a).sum(0)
    return layer._replace(inputs=layer.inputs + d_a, met=None)


class Through(NamedTuple):
    """Back through the net's gradients, then through the net; adds to d_weights in place."""

    form: Form
    events: Events
    net: Net
    layers: list[LayerGradients]
    d_weights: list[Tensor]

    def run(self) -> tuple[Tensor, Tensor | None]:
        """d_rows (N, R, D), and d_values (G, T, E) or None."""
        last, time = self.form.layers - 1, self.events.time
        slopes, extras = [], [layer.met for layer in self.layers]
        d_miss = self.layers[0].gradient
        for index in range(last):
            slope, d_z, d_miss = self._back(index, d_miss)
            slopes.append(slope)
            extras[index] = _plus(d_z, extras[index])
        d_miss = d_miss if self.form.scale == 1 else d_miss.mul_(self.form.scale)
        d_keys, d_own = self._top(d_miss, extras[last])
        for index in range(last - 1, -1, -1):
            extra, slope = extras[index], slopes[index]
            assert extra is not None
            d_z = torch.empty_like(slope)
            torch.addcmul(extra, d_keys, slope[:, :time], out=d_z[:, :time])
            if d_own is not None:
                torch.mul(d_own, slope[:, time:], out=d_z[:, time:])
            self.d_weights[index].baddbmm_(d_z.mT, self.net.inputs[index])
            d_a = torch.bmm(d_z, self.events.anchors[index])
            d_keys, d_own = d_a[:, :time], None if d_own is None else d_a[:, time:]
            if index:
                d_keys += self.layers[index].inputs
        return self._rows(d_miss, d_keys, d_own), d_miss.neg() if self._is_given else None

    @property
    def _is_given(self) -> bool:
        return self.events.values is not None

    def _rows(self, d_miss: Tensor, d_keys: Tensor, d_own: Tensor | None) -> Tensor:
        """Of the net's own rows, which are part of answers where it is residual."""
        of_keys = self._shared(d_keys)
        of_own = None if d_own is None else self._shared(d_own)
        if self.form.adds_input:
            apart = self._shared(d_miss)
            of_keys = of_keys if self.form.objective == "dot" else of_keys + apart
            of_own = None if of_own is None else of_own - apart
        return of_keys if of_own is None else torch.cat((of_keys, of_own), 1)

    def _shared(self, x_G: Tensor) -> Tensor:
        return self.events.spread(x_G).sum(0)

    def _back(self, index: int, d_gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Through d = (W above)ᵀ (d above) s'(z): s', d_z of the keys, and d of d above."""
        net, time, activation = self.net, self.events.time, self.form.nonlinearity
        z = net.outputs[index]
        assert z is not None
        slope, bend = activation.slope_and_bend(z, net.inputs[index + 1], time)
        d_z = bend.mul_(d_gradient).mul_(net.backs[index])
        d_back = d_gradient * slope[:, :time]
        self.d_weights[index + 1].baddbmm_(net.gradients[index + 1].mT, d_back)
        d_above = self.layers[index + 1].gradient
        return slope, d_z, d_above.baddbmm_(d_back, self.events.anchors[index + 1].mT)

    def _top(self, d_miss: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Through the last layer's answers: d of its inputs from keys, and from self values."""
        time, a, d_weight = self.events.time, self.net.inputs[-1], self.d_weights[-1]
        weight, difference = self.events.anchors[-1], self.net.difference
        into = self.layers[-1].inputs if self.form.layers > 1 else None
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
        if self.form.objective != "dot":
            d_y = d_miss if extra is None else extra.add_(d_miss)
        if d_y is None:
            return a.new_zeros(a[:, :time].shape) if into is None else into, d_own
        d_weight.baddbmm_(d_y.mT, a[:, :time])
        through = torch.bmm(d_y, weight) if into is None else into.baddbmm_(d_y, weight)
        return through, d_own


def _plus(into: Tensor, x: Tensor | None) -> Tensor:
    """into += x, in place."""
    return into if x is None else into.add_(x)


def d_retain_of(q: Tensor, d_qs: list[Tensor]) -> Tensor:
    """d_retain (N, T): every product that spans moment s holds retention s once.

    With Q[t, j] = Q[t, s] α_s Q[s-1, j]: the sum over t >= s > j of d_Q[t, j] Q[t, s] Q[s-1, j].
    No division, so it holds for zero and negative retention too.
    """
    spans, ends = [], [d_q for d_q in d_qs if d_q.shape[1] == 1]
    wholes = [d_q for d_q in d_qs if d_q.shape[1] > 1]
    if wholes:
        spans.append(torch.bmm(q[:, 1:, 1:].mT, _total(wholes)[:, 1:, :-1]))
    if ends:
        spans.append(q[:, -1, 1:, None] * _total(ends)[..., :-1])
    return _total(spans).mul_(q[:, :-1, :-1]).sum(-1)
