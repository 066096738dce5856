"""A memory over several periods at once.

Between two ticks a memory's gradients are taken where it stands still, at the tick before. Period
by period that is a pass over all its matrices for few tokens; but the state at a tick is what the
first of these periods started from and the events since (`low_rank_state.py`), so that all periods
ask and move the same matrices. Only inputs and gradients of the layers are worked out one period
after the other, and of the first layer's answers only what the events add.

Legend: B batch, H heads, M members, G = M·B·H with members outermost, T tokens, which are the
events, P tokens of a period, D input width, E output width of a layer.
FLOPs a token, head and member for a net of L layers with N weights: 4N - 2N / L, twice with
momentum, and for each period's events what a read of those before it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nestgraph.ops.common.layout import innermost, outermost
from nestgraph.ops.fused.fused_events import fused_events
from nestgraph.ops.fused.fused_periods import Flows, can_fuse_periods
from nestgraph.ops.history.decay_matrix import DecayMatrix
from nestgraph.ops.history.low_rank_state import LowRankState, Shares, at_ticks, stacked_rows
from nestgraph.ops.history.shared_base_weights import Share, SharedBaseWeights
from nestgraph.ops.ttt.memory_config import MemoryConfig, State
from nestgraph.ops.ttt.net_norms import Slow, normed
from nestgraph.ops.ttt.rank1_grads import Facts, Net, NetAtAnchor, rank1_grads
from nestgraph.ops.ttt.rates import Rates, write_rate


def summed_layers(
    config: MemoryConfig,
    state: State,
    facts: Facts,
    rates: Rates,
    slow: Slow,
    fades: DecayMatrix,
    period: int,
) -> tuple[LowRankState, ...]:
    """Return every matrix, then every bias, with the events of all periods.

    Args:
        config: one that `is_low_rank`.
        state: before the first event; just behind a tick if there are several periods.
        facts: keys and values of all T tokens.
        rates: coefficients.
        slow: gain and shift of the net's norm.
        fades: what is left of the start and of events.
        period: tokens between two ticks; T is a multiple of it.
    """
    speeds = state.momentum or (None,) * len(state.running)
    grounds = tuple(map(SharedBaseWeights, state.running, speeds))
    shares = Shares.of(fades, grounds[0].shape, grounds[0].members)
    step = rates.step if fades.is_joint else None
    just_ticked = state.running is state.anchor
    if just_ticked and can_fuse_periods(config):
        return _fused(config, grounds, shares, facts, _product(rates.rate, step), period)
    past = _Past(config=config, grounds=grounds, shares=shares)
    entries: tuple[Tensor, ...] = ()
    if just_ticked:
        rows = stacked_rows(facts.keys.unsqueeze(2), grounds[0].shape, grounds[0].members)
        entries = _entries(grounds[0], shares, rows, period, period).split(period, 1)
    for index, (some, rate, pace) in enumerate(_cut(facts, rates.rate, step, period)):
        net: Net = NetAtAnchor(config=config, weights=state.anchor, slow=slow)
        if entries:
            net = _AtTick(past=past, entry=entries[index], slow=slow)
        past.add(net, some, slow, rate, pace)
    return past.layers


def _fused(
    config: MemoryConfig,
    grounds: tuple[SharedBaseWeights, ...],
    shares: Shares,
    facts: Facts,
    rate_BHT: Tensor | None,
    period: int,
) -> tuple[LowRankState, ...]:
    """Return the same of a plain net."""
    shape, members = grounds[0].shape, grounds[0].members

    def stacked(x_BHTD: Tensor) -> Tensor:
        return stacked_rows(x_BHTD.unsqueeze(2), shape, members)

    def at(x_GT: Tensor | None) -> Tensor | None:
        return None if x_GT is None else x_GT[:, period - 1 : -1 : period]

    keys = stacked(facts.keys)
    own = None if facts.own is None else stacked(facts.own)
    rows, count = keys, period
    if own is not None:
        both = (x.unflatten(1, (-1, period)) for x in (keys, own))
        rows, count = torch.cat(tuple(both), 2).flatten(1, 2), 2 * period
    events = at(shares.events)
    assert events is not None
    flows = Flows(
        keys=keys,
        entry=_entries(grounds[0], shares, rows, period, count).unflatten(1, (-1, count)),
        values=None if facts.values is None else outermost(facts.values),
        own=own,
        rate=keys.new_ones(*keys.shape[:2], 1)
        if rate_BHT is None
        else stacked(rate_BHT.unsqueeze(-1)),
        of_weights=at(shares.weights),
        of_speed=at(shares.speed),
        of_events=events,
    )
    parts = (tuple(part) for part in zip(*(ground.parts for ground in grounds), strict=True))
    books = tuple(ground.book for ground in grounds)
    found = fused_events(config, flows, books, sum(parts, ()))
    return tuple(
        LowRankState(ground=ground, shares=shares, inputs=a, writes=w)
        for ground, a, w in zip(grounds, *found, strict=True)
    )


def _product(rate: Tensor | None, step: Tensor | None) -> Tensor | None:
    if rate is None or step is None:
        return step if rate is None else rate
    return rate * step


def _entries(
    ground: SharedBaseWeights, shares: Shares, rows_GRD: Tensor, period: int, count: int
) -> Tensor:
    """Return rows through the first layer as their periods found it, without events; `count` a
    period.
    """
    speed, later = None, rows_GRD.shape[1] > count
    moment = at_ticks(period, count)
    weights = None if shares.weights is None or not later else moment(shares.weights, 1.0)
    if shares.speed is not None and later:
        speed = moment(shares.speed, 0.0)[:, count:]
    return ground.ask(rows_GRD, Share(weights, speed, count))


def _cut(
    facts: Facts, rate: Tensor | None, step: Tensor | None, period: int
) -> list[tuple[Facts, Tensor | None, Tensor | None]]:
    """Return period by period: what is to be learned, the rate and the step."""
    count = facts.keys.shape[2] // period

    def parts(x: Tensor | None, axis: int = 2) -> tuple[Tensor | None, ...]:
        return (None,) * count if x is None else x.split(period, axis)

    flows = zip(
        facts.keys.split(period, 2),
        parts(facts.values, 3),
        parts(facts.own),
        parts(facts.delta),
        strict=True,
    )
    some = [Facts(keys=k, values=v, own=own, delta=delta) for k, v, own, delta in flows]
    return list(zip(some, parts(rate), parts(step), strict=True))


@dataclass(frozen=True, kw_only=True)
class _Past:
    """A stack at the start of its periods, and the events of those that are worked out."""

    config: MemoryConfig
    grounds: tuple[SharedBaseWeights, ...]
    shares: Shares
    inputs: list[list[Tensor]] = field(init=False)  # of each layer, (G, P, D) each
    writes: list[list[Tensor]] = field(init=False)  # (G, P, E) each

    def __post_init__(self) -> None:
        for name in ("inputs", "writes"):
            object.__setattr__(self, name, [[] for _ in self.grounds])

    def add(
        self, net: Net, facts: Facts, slow: Slow, rate: Tensor | None, step: Tensor | None
    ) -> None:
        """Add another period's events."""
        for layer, (a, d) in enumerate(rank1_grads(self.config, net, facts, slow)):
            share = write_rate(self.config, layer, a, rate)
            w = d if share is None else d * share
            w = w if step is None else w * step[:, :, None, :, None]
            ground = self.grounds[layer]
            self.inputs[layer].append(stacked_rows(a, ground.shape, ground.members))
            self.writes[layer].append(stacked_rows(w, ground.shape, ground.members))

    def ask(self, layer: int, x_GRD: Tensor, entry_GRE: Tensor | None, *, back: bool) -> Tensor:
        """Return rows through a matrix as it stands now, or back; `entry` is that without
        events.
        """
        writes, ground = self.writes[layer], self.grounds[layer]
        now = sum(w.shape[1] for w in writes)
        if not now:
            return ground.ask(x_GRD, Share(), back=back) if entry_GRE is None else entry_GRE
        shares, last = self.shares, slice(now - 1, now)
        if entry_GRE is None:
            b, c = shares.weights, shares.speed
            share = Share(None if b is None else b[:, last], None if c is None else c[:, last])
            entry_GRE = ground.ask(x_GRD, share, back=back)
        a, w = torch.cat(self.inputs[layer], 1), torch.cat(writes, 1)
        asked, answers = (w, a) if back else (a, w)
        scores = torch.bmm(x_GRD, asked.mT) * shares.events[:, last, :now]
        return torch.baddbmm(entry_GRE, scores, answers, alpha=-1)

    @property
    def layers(self) -> tuple[LowRankState, ...]:
        """With all events."""
        return tuple(
            LowRankState(
                ground=ground, shares=self.shares, inputs=torch.cat(a, 1), writes=torch.cat(w, 1)
            )
            for ground, a, w in zip(self.grounds, self.inputs, self.writes, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class _AtTick:
    """The net at the last tick; see `factors.Net`."""

    past: _Past
    entry: Tensor
    slow: Slow

    def enter(self, keys: Tensor) -> Tensor:
        """See `rank1_grads.Net`."""
        return self._plus_bias(0, self._ask(0, keys, entry=self.entry))

    def ahead(self, layer: int, a: Tensor) -> Tensor:
        """See `rank1_grads.Net`."""
        return self._plus_bias(layer, self._ask(layer, a))

    def back(self, layer: int, d: Tensor) -> Tensor:
        """See `rank1_grads.Net`."""
        return self._ask(layer, d, back=True)

    def answer(self, own: Tensor) -> Tensor:
        """See `rank1_grads.Net`."""
        config, x = self.past.config, own.unsqueeze(2)
        a = self.ahead(0, x)
        for layer in range(1, config.layers):
            a = self.ahead(layer, config.nonlinearity.value(a))
        y = normed(config, a, self.slow)
        return x + y if config.adds_input else y

    def _plus_bias(self, layer: int, z: Tensor) -> Tensor:
        config = self.past.config
        if not config.bias:
            return z
        return z + self._ask(config.layers + layer, z.new_ones(*z.shape[:2], 1, z.shape[3], 1))

    def _ask(
        self, layer: int, x: Tensor, *, entry: Tensor | None = None, back: bool = False
    ) -> Tensor:
        ground = self.past.grounds[layer]
        rows = stacked_rows(x, ground.shape, ground.members)
        return innermost(self.past.ask(layer, rows, entry, back=back), *ground.shape)
