"""The derivative of `fused_periods.py`, period by period from the last to the first.

A gradient of a tensor x is called d_x. See `fused_periods.py` for the formulas and the legend.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.fused.fused_periods import Asked, Maybe, Stack
from nestgraph.ops.history.shared_base_weights import Book
from nestgraph.ops.ttt.memory_config import MemoryConfig


class ActivationGrads(NamedTuple):
    """Of one layer, what its way back needs of its activation.

    Attributes:
        value: s(z) of all rows, (G, T / P, R, O).
        slope: s'(z) of all rows.
        bend: s''(z) of keys times what came back, (G, T, O).
        gradient: d of the layer, s'(z) of keys times what came back, (G, T, O).
    """

    value: Tensor
    slope: Tensor
    bend: Tensor
    gradient: Tensor

    @classmethod
    def of(
        cls, config: MemoryConfig, z_GNRO: Tensor, back_GTO: Tensor, period: int
    ) -> ActivationGrads:
        """Return those of all periods at once."""
        value, slope, bend = config.nonlinearity.bent(z_GNRO, period)
        back = back_GTO.view_as(bend)
        gradient = back * slope[:, :, :period]
        return cls(value, slope, bend.mul_(back).flatten(1, 2), gradient.flatten(1, 2))


class Back(NamedTuple):
    """Gradients, of all tokens; a period's are worked out once those of all later ones are.

    Attributes:
        config: what the memories are.
        stack: what was computed.
        bents: of all layers but the last.
        d_found: of w of every layer, then of a of all layers but the first, from outside.
        d_keys: of keys as events, (G, T, D).
        d_writes: of w, (G, T, O).
        d_rows: of keys and self values as rows, (G, T / P, R, D).
        d_outputs: of z of each layer, (G, T / P, R, O).
        d_backs: of what was brought back through each layer but the first, (G, T, I).
        d_top: of d of the last layer, (G, T, E).
        d_met: of x aᵀ, as `Buffers.met`.
        d_met_back: of x wᵀ, as `Buffers.met_back`.
        d_ticks: of b and c, (2, T / P - 1, G, 1, 1).
        d_events: of D, (G, T / P - 1, T).
    """

    config: MemoryConfig
    stack: Stack
    bents: list[ActivationGrads]
    d_found: tuple[Tensor, ...]
    d_keys: Tensor
    d_writes: list[Tensor]
    d_rows: Tensor
    d_outputs: list[Tensor]
    d_backs: list[Tensor]
    d_top: Tensor
    d_met: list[Tensor]
    d_met_back: list[Tensor]
    d_ticks: Tensor
    d_events: Tensor

    @classmethod
    def of(cls, config: MemoryConfig, stack: Stack, d_found: tuple[Tensor, ...]) -> Back:
        """Return those from the gradients of writes, then of inputs of all layers but the first."""
        flows, buffers, new = stack.flows, stack.buffers, stack.flows.keys.new_empty
        (groups, _, width), (periods, rows) = flows.keys.shape, flows.entry.shape[1:3]
        pairs = zip(buffers.outputs, buffers.backs, strict=True)
        return cls(
            config=config,
            stack=stack,
            bents=[ActivationGrads.of(config, z, back, flows.period) for z, back in pairs],
            d_found=d_found,
            d_keys=torch.zeros_like(flows.keys),
            d_writes=[torch.empty_like(x) for x in buffers.writes],
            d_rows=flows.keys.new_zeros(groups, periods, rows, width),
            d_outputs=[new(groups, periods, rows, w.shape[1]) for w in stack.weights],
            d_backs=[torch.empty_like(back) for back in buffers.backs],
            d_top=torch.empty_like(buffers.top),
            d_met=[torch.empty_like(x) for x in buffers.met],
            d_met_back=[torch.empty_like(x) for x in buffers.met_back],
            d_ticks=flows.rate.new_zeros(2, periods - 1, groups, 1, 1),
            d_events=torch.zeros_like(flows.of_events),
        )

    def gradient(self, layer: int) -> Tensor:
        """Return d of a layer, (G, T, O)."""
        top = layer == self.config.layers - 1
        return self.stack.buffers.top if top else self.bents[layer].gradient

    def period(self, index: int) -> None:
        """Carry gradients back through one period's events, line by line."""
        config, flows, period = self.config, self.stack.flows, self.stack.flows.period
        some = slice(index * period, (index + 1) * period)
        rate, extras = flows.rate[:, some], []
        d_d = d_back = self.d_top[:, some]  # until the first layer's are known
        for layer in range(config.layers):
            d_write = self._of_write(layer, index, self.d_found[layer][:, some])
            self.d_writes[layer][:, some] = d_write
            d_d = d_write * rate
            if layer:
                d = self.gradient(layer)[:, some]
                d_d += self._through(layer, index, d_back, d, back=True)
            if layer == config.layers - 1:
                break
            bent = self.bents[layer]
            extras.append(bent.bend[:, some] * d_d)
            d_back = d_d.mul_(bent.slope[:, index, :period])
            self.d_backs[layer][:, some] = d_back
        self.d_top[:, some] = d_d
        d_z = self._answers(d_d, index)
        for layer in range(config.layers - 1, 0, -1):
            self.d_outputs[layer][:, index] = d_z
            bent = self.bents[layer - 1]
            d_z = self._through(layer, index, d_z, bent.value[:, index], back=False)
            d_found = self.d_found[config.layers + layer - 1][:, some]
            d_z[:, :period] += self._of_input(layer, index, d_found)
            d_z.mul_(bent.slope[:, index])
            d_z[:, :period] += extras[layer - 1]
        self.d_outputs[0][:, index] = d_z
        self.d_keys[:, some] = self._of_input(0, index, self.d_keys[:, some])
        if index:
            asked = self.stack.asked(0, index, back=False)
            self.d_rows[:, index] += self._through_events(0, index, asked, d_z, back=False)

    def _of_write(self, layer: int, index: int, d_found: Tensor) -> Tensor:
        """Return d of w of a period: from outside, and from all later rows that met it."""
        later = _Later(self, index)
        if not later:
            return d_found
        d = d_found - later.met(self.stack.buffers.met[layer], self.d_outputs[layer])
        if layer:
            d_met = self.d_met_back[layer - 1]
            d -= later.of_met(d_met, self.gradient(layer))
        return d

    def _of_input(self, layer: int, index: int, d_found: Tensor) -> Tensor:
        """Return d of a of a period likewise."""
        later = _Later(self, index)
        if not later:
            return d_found
        if not layer:
            return d_found - later.of_met(self.d_met[0], self.stack.rows)
        d = d_found - later.of_met(self.d_met[layer], self.bents[layer - 1].value)
        return d.sub_(later.met(self.stack.buffers.met_back[layer - 1], self.d_backs[layer - 1]))

    def _answers(self, d_d: Tensor, index: int) -> Tensor:
        """Return d of what rows were answered, (G, R, E); of rows and values where they are part of
        it.
        """
        config, flows = self.config, self.stack.flows
        scaled = d_d * config.scale
        kept = torch.zeros_like(scaled) if config.objective == "dot" else scaled
        d_z = kept if flows.own is None else torch.cat((kept, -scaled), 1)
        if config.adds_input:
            self.d_rows[:, index] += d_z
        return d_z

    def _through(self, layer: int, index: int, d_y: Tensor, x: Tensor, *, back: bool) -> Tensor:
        """Return d of rows x that asked a layer, from that of its answers."""
        asked = self.stack.asked(layer, index, back=back)
        d_x = torch.bmm(d_y, asked.weights.mT)
        if asked.b is not None:
            self.d_ticks[0, index - 1] += _dot(x, d_x)
            d_x.mul_(asked.b)
        if asked.c is not None:
            assert asked.speed is not None
            other = torch.bmm(d_y, asked.speed.mT)
            self.d_ticks[1, index - 1] += _dot(x, other)
            d_x.addcmul_(other, asked.c)
        if index:
            d_x += self._through_events(layer, index, asked, d_y, back=back)
        return d_x

    def _through_events(
        self, layer: int, index: int, asked: Asked, d_y: Tensor, *, back: bool
    ) -> Tensor:
        """Carry gradients back through `Asked.add_events` to d of x; of the events it is noted for
        later.
        """
        now, buffers = index * self.stack.flows.period, self.stack.buffers
        met = (buffers.met_back[layer - 1] if back else buffers.met[layer])[:, index, :, :now]
        d_met = (self.d_met_back[layer - 1] if back else self.d_met[layer])[:, index, :, :now]
        assert asked.decay is not None
        d_scores = torch.bmm(d_y, asked.gives.mT)
        self.d_events[:, index - 1, :now] -= (met * d_scores).sum(1)
        d_scores.mul_(asked.decay)
        d_met.copy_(d_scores)
        return torch.bmm(d_scores, asked.meets).neg_()

    def note(self, books: tuple[Book, ...]) -> None:
        """Compute the products that are gradients of W and S of all layers but the first."""
        flows = self.stack.flows
        for layer in range(1, self.config.layers):
            d_z, h = self.d_outputs[layer], self.bents[layer - 1].value
            d, d_back = self.gradient(layer), self.d_backs[layer - 1]
            d, d_back = (x.unflatten(1, (flows.periods, -1)) for x in (d, d_back))
            for left, scaled, is_back in ((d_z, h, False), (d_back, d, True)):
                pairs = [(0, left, _times(flows.of_weights, scaled))]
                if flows.of_speed is not None and flows.periods > 1:
                    c = flows.of_speed.unsqueeze(-1)
                    pairs.append((1, left[:, 1:], scaled[:, 1:] * c))
                for part, of_answers, of_rows in pairs:
                    y, x = of_answers.flatten(1, 2), of_rows.flatten(1, 2)
                    books[layer].note(part, *((x, y) if is_back else (y, x)))

    def flows(self) -> tuple[Maybe, ...]:
        """Return gradients of all `Flows`, in their order."""
        flows, config, period = self.stack.flows, self.config, self.stack.flows.period
        d_rate = torch.zeros_like(flows.rate)
        for layer, d_write in enumerate(self.d_writes):
            d_rate += (d_write * self.gradient(layer)).sum(-1, keepdim=True)
        d_b, d_c = self.d_ticks.squeeze(-1).transpose(1, 2)
        d_rows, own, values = self.d_rows, flows.own, flows.values
        return (
            self.d_keys + d_rows[:, :, :period].flatten(1, 2),
            self.d_outputs[0],
            None if values is None else self.d_top * -config.scale,
            None if own is None else d_rows[:, :, period:].flatten(1, 2),
            d_rate,
            None if flows.of_weights is None else d_b,
            None if flows.of_speed is None else d_c,
            self.d_events,
        )


class _Later:
    """All periods behind one, whose rows met its events."""

    def __init__(self, back: Back, index: int) -> None:
        flows = back.stack.flows
        self._fades, self._index = flows.of_events, index
        self._some = slice(index * flows.period, (index + 1) * flows.period)
        self._count = flows.periods - 1 - index

    def __bool__(self) -> bool:
        return self._count > 0

    def met(self, met_GNRT: Tensor, d_y: Tensor) -> Tensor:
        """Return Σ over their rows of what they met, as far as it is left, times d of their
        answers.
        """
        decay = self._fades[:, self._index :, self._some].unsqueeze(2)
        return self._sum(met_GNRT[:, self._index + 1 :, :, self._some] * decay, d_y)

    def of_met(self, d_met_GNRT: Tensor, x: Tensor) -> Tensor:
        """Return Σ over their rows of d of what they met, times the rows."""
        return self._sum(d_met_GNRT[:, self._index + 1 :, :, self._some], x)

    def _sum(self, scores_GNRP: Tensor, rows: Tensor) -> Tensor:
        rows = rows.view(len(rows), self._fades.shape[1] + 1, -1, rows.shape[-1])
        later = rows[:, self._index + 1 :].flatten(1, 2)
        return torch.bmm(scores_GNRP.flatten(1, 2).mT, later)


def _dot(x_GRI: Tensor, y_GRI: Tensor) -> Tensor:
    """Return Σ x y, (G, 1, 1)."""
    return (x_GRI * y_GRI).sum((1, 2), keepdim=True)


def _times(b_GN1: Maybe, x_GNRI: Tensor) -> Tensor:
    """Return rows of all periods but the first times b."""
    if b_GN1 is None:
        return x_GNRI
    return x_GNRI * torch.cat((b_GN1.new_ones(len(b_GN1), 1, 1), b_GN1), 1).unsqueeze(-1)
