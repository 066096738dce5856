"""The events of one segment of an anchored memory, and what they do to its weights.

Legend: B batch, H heads, M stacked memories, T positions of the segment, J events of the write,
D key width, E value width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from nestgraph.ops.delta_rule.start_offset import StartOffset
from nestgraph.ops.fused.fused_momentum import fused_momentum_step
from nestgraph.ops.fused.fused_step import can_fuse, fused_step
from nestgraph.ops.history import recurrence
from nestgraph.ops.history.decay_matrix import DecayMatrix, speeds_of, transfer
from nestgraph.ops.history.low_rank_state import (
    LowRankState,
    Moment,
    after,
    at_ticks,
    earlier_than,
    is_low_rank,
)
from nestgraph.ops.history.materialized import Materialized, materialized_layer, shifted, through
from nestgraph.ops.history.mirrored_reads import mirrored_read
from nestgraph.ops.history.mirrors import mirror, mirrored
from nestgraph.ops.history.multi_chunk import summed_layers
from nestgraph.ops.history.orthogonalized import Orthogonalized, orthogonalized_layer
from nestgraph.ops.history.recurrence import Pairs
from nestgraph.ops.ttt.members import members
from nestgraph.ops.ttt.memory_config import MemoryConfig, State, Window
from nestgraph.ops.ttt.net_norms import Slow
from nestgraph.ops.ttt.rank1_grads import Facts, NetAtAnchor, Rank1Grads, rank1_grads
from nestgraph.ops.ttt.rates import Rates, by_event, erase_rate, spread, write_rate

At = Literal["after", "before", "boundary"]


@dataclass(frozen=True, kw_only=True)
class SegmentUpdate:
    """The events of one segment; what they do to the weights is worked out when asked for.

    Attributes:
        config: what the memories are.
        state: before the segment; without a way back unless learning sees the writes.
        anchor: Θ, with its way back.
        new: keys and values of the segment.
        rates: its coefficients.
        slow: gain and shift of the net's norm.
        erase_key_BHTD: where the erase has a key of its own.
        period: positions between two ticks; 0 if none lie within the segment.
        towards: where retention pulls, (1, H, M, E, D) of every part; empty if that is 0.
    """

    config: MemoryConfig
    state: State
    anchor: tuple[Tensor, ...]
    new: Facts
    rates: Rates
    slow: Slow
    erase_key_BHTD: Tensor | None
    period: int = 0
    towards: tuple[Tensor, ...] = ()

    @property
    def time(self) -> int:
        """T."""
        return self.new.keys.shape[2] // self.config.events

    @cached_property
    def transfer(self) -> DecayMatrix:
        """Return what retention and momentum leave of each event at each later token."""
        return transfer(self.config, self.rates, self.new.keys, self.time)

    @cached_property
    def speeds(self) -> tuple[Tensor | None, Tensor]:
        """Return what the momentum holds of its start and of each event at each token."""
        return speeds_of(self.config, self.rates, self.new.keys, self.time)

    @cached_property
    def kept(self) -> Tensor | None:
        """With `retain_first`: the product of retentions from the tick up to each token."""
        if self.state.kept is None:
            return None
        kept, retain = self.state.kept.unsqueeze(2), self.rates.retain
        if retain is None:
            return kept.expand(-1, -1, self.time, *kept.shape[3:])
        return kept * retain.cumprod(2)

    @cached_property
    def facts(self) -> tuple[Facts, Tensor | None]:
        """Events that the window kept, then the new ones; and the rate of each."""
        new, rate = self.new, self.rates.rate
        rate = None if rate is None else by_event(rate, self.config.events)
        delta = None if self.rates.delta is None else by_event(self.rates.delta, self.config.events)
        new = Facts(keys=new.keys, values=new.values, own=new.own, delta=delta)
        if self.state.window is None:
            return new, rate
        return _with_past(self.state.window, new, rate)

    @cached_property
    def layers(
        self,
    ) -> tuple[recurrence.Layer | Orthogonalized | Materialized | LowRankState | StartOffset, ...]:
        """For each matrix, and each bias, its way through the segment."""
        facts, rate = self.facts
        if is_low_rank(self.config):
            state, period = self.state, min(self.period or self.time, self.time)
            state = state._replace(anchor=state.running) if self.is_at_tick else state
            given = self.config, state, facts, self.rates, self.slow
            return summed_layers(*given, self.transfer, period)
        at, kept = self._where()
        towards = self.towards if kept is not None else ()
        net = NetAtAnchor(
            config=self.config,
            weights=tuple(map(torch.sub, at, towards)) if towards else at,
            slow=self.slow,
            kept_BHJ=kept,
            asked=mirrored(self.config, self.state.anchor),
            towards=towards,
        )
        factors = rank1_grads(self.config, net, facts, self.slow)
        return tuple(self._layer(index, pair, rate) for index, pair in enumerate(factors))

    @property
    def is_at_tick(self) -> bool:
        """Return whether the weights before the segment are those of a tick, and a sum that knows
        ticks.

        A state that was copied holds them twice; but several periods begin at a tick only.
        """
        same = self.state.running is self.state.anchor or self.time > self.period > 0
        return same and is_low_rank(self.config)

    @property
    def is_worked_out(self) -> bool:
        """Return whether a read has asked for the events already."""
        return "layers" in self.__dict__

    def part(self, start: int, stop: int) -> SegmentUpdate:
        """Return the same events as some members of a stack that `fused_step` knows take them
        in.
        """
        assert can_fuse(self.config), "what else a state holds isn't divided"
        running, anchor = (members(x, start, stop) for x in self.state[:2])
        values = self.new.values
        values = None if values is None else values[:, :, start:stop]
        return replace(
            self,
            state=self.state._replace(running=running, anchor=anchor),
            anchor=members(self.anchor, start, stop),
            new=replace(self.new, values=values),
            towards=members(self.towards, start, stop) if self.towards else (),
        )

    def fused(self) -> tuple[Tensor, ...]:
        """Return the running weights after the segment, in one step."""
        return fused_step(
            self.config,
            self.state,
            self.new.keys,
            self.new.values,
            self.new.own,
            self.rates.rate,
            self.rates.retain,
            self.rates.erase,
        )

    def fused_momentum(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the running weights and the momentum after the segment, in one step."""
        return fused_momentum_step(
            self.config, self.state, self.new, self.rates.rate, self.transfer
        )

    def with_start(self, running: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return weights that were pulled towards 0 and erase nothing, as retention leaves them
        here.
        """
        fades = self.transfer
        if not self.towards or fades.start is None:
            return running
        pull = 1 - fades.start[..., -1:, :]
        return tuple(
            weight + pull * towards for weight, towards in zip(running, self.towards, strict=True)
        )

    def share(self, *, before: bool) -> Tensor | None:
        """Return how much what the period has moved counts at each token, (B, H, T)."""
        if not self.config.reduces:
            return None
        now, last = self.rates.share, self.state.share
        assert now is not None, "a memory that reduces is told how much"
        assert last is not None, "and remembers it"
        return torch.cat((last.unsqueeze(-1), now[..., :-1]), -1) if before else now

    def seen(self, index: int, *, before: bool) -> Tensor:
        """Return a matrix as reads see it at every token, (B, H, M, T, E, D)."""
        layer, anchor = self.layers[index], self.anchor[index].unsqueeze(-3)
        states = layer.states()
        states = shifted(layer.weights, states) if before else states
        share = self.share(before=before)
        if share is None and self.config.gradient == "full":
            return mirror(self.config, states) if self.config.mirror != "none" else states
        moved = states - anchor.detach() if self.config.gradient != "full" else states - anchor
        moved = moved if share is None else share[:, :, None, :, None, None] * moved
        states = anchor + moved
        return mirror(self.config, states) if self.config.mirror != "none" else states

    def through(self, index: int, x_BHNTD: Tensor, at: At) -> Tensor:
        """Return vectors through one layer as reads see it, (B, H, M, T, E)."""
        config, before = self.config, at == "before"
        layer = self.layers[index]
        if isinstance(layer, LowRankState):
            return layer.read(
                x_BHNTD, self._moment(at), late=self.period if at == "boundary" else 0
            )
        assert at != "boundary", "which is asked at the anchor"
        if config.mirror != "none" and index < config.layers:
            plain = not config.reduces and config.gradient == "full"
            if plain and isinstance(layer, recurrence.Layer) and layer.speed is None:
                return mirrored_read(config, x_BHNTD, *layer.sums(before=before))
            return through(self.seen(index, before=before), x_BHNTD)
        y = layer.read(x_BHNTD, before=before)
        share, anchor = self.share(before=before), self.anchor[index]
        if share is not None:
            still = x_BHNTD @ self.state.anchor[index].mT
            y = still + share[:, :, None, :, None] * (y - still)
        if config.gradient != "full":
            y = y + x_BHNTD.detach() @ (anchor - anchor.detach()).mT
        return y

    def _moment(self, at: At) -> Moment | None:
        if at == "boundary":
            return at_ticks(self.period) if self.time > self.period else None
        return earlier_than if at == "before" else after

    def _where(self) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return the weights at which gradients are taken, and what is left of them at each
        event.
        """
        anchor, kept = self.state.anchor, self.kept
        if self.config.retain_first and self.config.kind("retain") != "head":
            assert self.time == 1, "retention within a matrix moves the gradient's place: a scan"
            anchor, kept = self._faded_within(), None
        if self.config.mirror == "none":
            return anchor, None if kept is None else by_event(kept, self._events_a_position(kept))
        if kept is not None:
            assert self.time == 1, "a mirror of what is retained first differs by token: a scan"
            anchor = self._left(kept[:, :, 0, None, None, None])
        return mirrored(self.config, anchor), None

    def _events_a_position(self, kept: Tensor) -> int:
        """Look at all events of the window from the one position of a scan."""
        if self.config.window == 1:
            return self.config.events
        assert kept.shape[2] == 1, "a window over a fading anchor differs by token: a scan"
        return self.config.past + self.config.events

    def _faded_within(self) -> tuple[Tensor, ...]:
        anchor = self.state.anchor[0]
        retain = self.kept if self.kept is not None else self.rates.retain
        assert retain is not None
        decay = spread(retain, self.config.kind("retain"), *anchor.shape[-2:])
        return self._left(decay[..., 0, :, :])

    def _left(self, decay: Tensor) -> tuple[Tensor, ...]:
        """Return the anchor, where a factor has faded it."""
        if not self.towards:
            return tuple(decay * weight for weight in self.state.anchor)
        pairs = zip(self.state.anchor, self.towards, strict=True)
        return tuple(towards + decay * (weight - towards) for weight, towards in pairs)

    def _layer(
        self, index: int, pair: Rank1Grads, rate_BHJ: Tensor | None
    ) -> recurrence.Layer | Orthogonalized | Materialized | StartOffset:
        weights = self.state.running[index]
        if not self.towards:
            return self._moving(index, weights, None, pair, rate_BHJ)
        towards = self.towards[index]
        moving = self._moving(index, weights - towards, towards, pair, rate_BHJ)
        return StartOffset(towards=towards, moving=moving)

    def _moving(
        self,
        index: int,
        weights: Tensor,
        towards: Tensor | None,
        pair: Rank1Grads,
        rate_BHJ: Tensor | None,
    ) -> recurrence.Layer | Orthogonalized | Materialized:
        """Return what retention fades: the weights, or how far they are from where they started."""
        config, rates = self.config, self.rates
        speed = self.state.momentum[index] if config.momentum else None
        if config.is_explicit and not config.is_directed:
            return materialized_layer(
                config, index, weights, speed, pair, rates, rate_BHJ, self.erase_key_BHTD, towards
            )
        rate = write_rate(config, index, pair.inputs, rate_BHJ)
        erase, still = None, None
        if config.erases(index):
            new = pair.inputs[..., -self.time * config.events :, :]
            erase = erase_rate(config, rate, rates, new)
            still = None if towards is None else erase * (new @ towards.mT)
            if config.retain_first and rates.retain is not None:
                erase = erase * by_event(rates.retain, config.events)[:, :, None, :, None]
        writes = pair.slopes if rate is None else pair.slopes * rate
        if config.is_directed and index < config.layers:
            fades = self.transfer
            left = (
                fades.events
                if rates.step is None
                else fades.events * rates.step[:, :, None, None, :]
            )
            return orthogonalized_layer(
                weights,
                speed,
                pair.inputs,
                writes,
                (fades.start, left),
                self.speeds,
                config.direction_steps,
            )
        if rates.step is not None and self.transfer.is_joint:
            writes = writes * by_event(rates.step, config.events)[:, :, None, :, None]
        inputs = pair.inputs
        pairs = Pairs(inputs=inputs, writes=writes, erase=erase, still=still)
        return recurrence.layer(weights, speed, pairs, self.transfer)


def _with_past(past: Window, new: Facts, rate: Tensor | None) -> tuple[Facts, Tensor | None]:
    rate = past.rate.new_ones(new.keys.shape[:3]) if rate is None else rate
    values, own = new.values, new.own
    if own is not None:
        own = torch.cat((past.values.squeeze(2), own), 2)
    else:
        assert values is not None
        values = torch.cat((past.values, values), 3)
    delta = new.delta
    if delta is not None:
        # A number is the same for all events, so the window doesn't keep it.
        before = delta[:, :, :1].expand(-1, -1, past.keys.shape[2])
        delta = torch.cat((before if past.delta is None else past.delta, delta), 2)
    keys = torch.cat((past.keys, new.keys), 2)
    return Facts(keys=keys, values=values, own=own, delta=delta), torch.cat((past.rate, rate), 2)


def window_of(written: SegmentUpdate) -> Window | None:
    """Return the last events, for the positions to come."""
    if written.state.window is None:
        return None
    facts, rate = written.facts
    count = written.config.past
    values = facts.values if facts.own is None else facts.own.unsqueeze(2)
    assert values is not None, "a write needs values or self values"
    assert rate is not None, "events in a window have rates"
    keeps = written.state.window.delta is not None
    delta = facts.delta[:, :, -count:] if keeps and facts.delta is not None else None
    return Window(facts.keys[:, :, -count:], values[:, :, :, -count:], rate[:, :, -count:], delta)
