"""The events of several periods of a plain net, in buffers that hold every token.

`multi_chunk.py` says what is computed: layer by layer the inputs a and the writes w = rate d of all
tokens, where the net of each period is the state at its tick. Between two products with matrices
there are only a few rows, for which a call costs more than its arithmetic: so there are few calls,
and the derivative is by hand (`fused_periods_bwd.py`). A layer is asked as

    y = b x Wᵀ + c x Sᵀ - (D ∘ x aᵀ) w        or back        y = b x W + c x S - (D ∘ x wᵀ) a

over the events a, w before the tick.

Legend: B batch, H heads, M members (the outermost axis here), G = M·B·H, T tokens, P tokens of a
period, R rows of it: P keys, and P self values below them if there are any; D key width, E value
width; I and O widths in front of a layer and behind it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.ttt.memory_config import MemoryConfig

Maybe = Tensor | None


def can_fuse_periods(config: MemoryConfig) -> bool:
    """Return whether the events of a form that `is_low_rank` have a derivative by hand."""
    return config.is_plain_net and config.objective in ("dot", "l2") and not config.implicit


class Flows(NamedTuple):
    """What a stack is to learn in all periods, and what of it is left at ticks.

    Attributes:
        keys: (G, T, D).
        entry: keys, and self values, through the first layer without events, (G, T / P, R, O).
        values: targets (G, T, E), or None with self values.
        own: what is asked for targets, (G, T, D), or None.
        rate: of each token, its step included, (G, T, 1).
        of_weights: b at the ticks within, (G, T / P - 1, 1); None is 1.
        of_speed: c, the same; None without momentum.
        of_events: D, (G, T / P - 1, T).
    """

    keys: Tensor
    entry: Tensor
    values: Maybe
    own: Maybe
    rate: Tensor
    of_weights: Maybe
    of_speed: Maybe
    of_events: Tensor

    @property
    def periods(self) -> int:
        """T / P."""
        return self.entry.shape[1]

    @property
    def period(self) -> int:
        """P."""
        return self.keys.shape[1] // self.periods


class Asked(NamedTuple):
    """A layer at the tick before a period, asked forward or back.

    Attributes:
        weights: W as rows meet it, (G, in, out).
        speed: S likewise, or None.
        b: (G, 1, 1), or None for 1.
        c: (G, 1, 1), or None where S isn't asked.
        decay: D of the events before the tick, (G, 1, J).
        meets: the side of these events that rows meet, (G, J, in).
        gives: the other side, (G, J, out).
    """

    weights: Tensor
    speed: Maybe
    b: Maybe
    c: Maybe
    decay: Maybe
    meets: Tensor
    gives: Tensor

    def base(self, x_GRI: Tensor) -> Tensor:
        """Return rows through W and S."""
        y = torch.bmm(x_GRI, self.weights)
        if self.b is not None:
            y.mul_(self.b)
        if self.c is not None:
            assert self.speed is not None
            y.addcmul_(torch.bmm(x_GRI, self.speed), self.c)
        return y

    def add_events(self, x_GRI: Tensor, y_GRO: Tensor, met_GRJ: Tensor) -> None:
        """Add to the rows' answers what the events add, in place; note what they met of each."""
        if self.decay is not None:
            met = torch.bmm(x_GRI, self.meets.mT)
            met_GRJ.copy_(met)
            y_GRO.baddbmm_(met.mul_(self.decay), self.gives, alpha=-1)


class Buffers(NamedTuple):
    """Every layer's numbers of all tokens.

    Attributes:
        inputs: a of keys, (G, T, I); of the first layer the keys themselves.
        outputs: z of keys and self values, (G, T / P, R, O), of all layers but the last.
        backs: d of the layer above brought back, (G, T, O), of all layers but the last.
        top: d of the last layer, (G, T, E).
        writes: w, (G, T, O).
        met: x aᵀ of each row that went through a layer and each event before its tick,
            (G, T / P, R, T).
        met_back: x wᵀ of each that came back, (G, T / P, P, T), of all layers but the first.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    backs: list[Tensor]
    top: Tensor
    writes: list[Tensor]
    met: list[Tensor]
    met_back: list[Tensor]

    @classmethod
    def of(cls, flows: Flows, weights: list[Tensor]) -> Buffers:
        """Return empty ones."""
        groups, time, new = *flows.keys.shape[:2], flows.keys.new_empty
        widths = [weight.shape[1] for weight in weights]
        hidden, rows = widths[:-1], flows.entry.shape[2]
        return cls(
            inputs=[flows.keys, *(new(groups, time, width) for width in hidden)],
            outputs=[new(groups, flows.periods, rows, width) for width in hidden],
            backs=[new(groups, time, width) for width in hidden],
            top=new(groups, time, widths[-1]),
            writes=[new(groups, time, width) for width in widths],
            met=[new(groups, flows.periods, rows, time) for _ in widths],
            met_back=[new(groups, flows.periods, flows.period, time) for _ in hidden],
        )


class Stack(NamedTuple):
    """W and S of all layers, and all that happened so far."""

    flows: Flows
    buffers: Buffers
    weights: list[Tensor]
    speeds: list[Tensor]

    def asked(self, layer: int, index: int, *, back: bool) -> Asked:
        """Return a layer at the tick before a period."""
        weights, speed = self.weights[layer], self.speeds[layer] if self.speeds else None
        now, flows = index * self.flows.period, self.flows
        a, w = self.buffers.inputs[layer][:, :now], self.buffers.writes[layer][:, :now]
        b, c, decay = None, None, None
        if index:
            last = slice(index - 1, index)
            b = None if flows.of_weights is None else flows.of_weights[:, last]
            c = None if flows.of_speed is None else flows.of_speed[:, last]
            decay = flows.of_events[:, last, :now]
        if back:
            return Asked(weights, speed, b, c, decay, w, a)
        speed = None if speed is None else speed.mT
        return Asked(weights.mT, speed, b, c, decay, a, w)

    @property
    def rows(self) -> Tensor:
        """Keys of each period, and self values below them, (G, T / P, R, D)."""
        periods, own = self.flows.periods, self.flows.own
        keys = self.flows.keys.unflatten(1, (periods, -1))
        return keys if own is None else torch.cat((keys, own.unflatten(1, (periods, -1))), 2)

    def through(self, layer: int, index: int, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return rows through a layer; `y` is what they are answered without events."""
        asked = self.asked(layer, index, back=False)
        y = asked.base(x) if y is None else y
        asked.add_events(x, y, self.buffers.met[layer][:, index, :, : index * self.flows.period])
        return y

    def back(self, layer: int, index: int, d: Tensor) -> Tensor:
        """Return gradients back through a layer."""
        asked = self.asked(layer, index, back=True)
        g = asked.base(d)
        met = self.buffers.met_back[layer - 1][:, index, :, : index * self.flows.period]
        asked.add_events(d, g, met)
        return g

    def add_period(self, config: MemoryConfig, index: int, x: Tensor) -> None:
        """Take a period in, with its rows (G, R, D)."""
        flows, buffers, period = self.flows, self.buffers, self.flows.period
        some, activation = slice(index * period, (index + 1) * period), config.nonlinearity
        rate = flows.rate[:, some]
        z = self.through(0, index, x, flows.entry[:, index].clone())
        for layer in range(1, config.layers):
            buffers.outputs[layer - 1][:, index] = z
            h = activation.value(z)
            buffers.inputs[layer][:, some] = h[:, :period]
            z = self.through(layer, index, h)
        d = buffers.top[:, some]
        d.copy_(_top(config, flows, some, x, z))
        for layer in range(config.layers - 1, 0, -1):
            torch.mul(d, rate, out=buffers.writes[layer][:, some])
            g = self.back(layer, index, d)
            buffers.backs[layer - 1][:, some] = g
            z, a = buffers.outputs[layer - 1][:, index, :period], buffers.inputs[layer][:, some]
            d = activation.times_slope(g, z, a)
        torch.mul(d, rate, out=buffers.writes[0][:, some])


def _top(config: MemoryConfig, flows: Flows, some: slice, x: Tensor, z: Tensor) -> Tensor:
    """Return the gradient at the answers (G, P, E), from rows (G, R, D) and what they are
    answered.
    """
    period, values = flows.period, flows.values
    y = x + z if config.adds_input else z
    target = y[:, period:] if values is None else values[:, some]
    return (
        target * -config.scale
        if config.objective == "dot"
        else (y[:, :period] - target) * config.scale
    )
