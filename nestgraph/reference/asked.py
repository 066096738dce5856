"""What a write is given at one position: its events and rates, from the flows."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nestgraph.language.system import Coefficient, Memory
from nestgraph.reference import coefficients
from nestgraph.reference.memory import Position
from nestgraph.reference.nets import Event, Matrices
from nestgraph.reference.ops import in_runs
from nestgraph.reference.rule import Rates
from nestgraph.reference.state import has_share

Flows = Mapping[str, Tensor]
Pair = tuple[Tensor, Tensor]  # a key and its value, (batch, heads, width) each


def pairs(memory: Memory, flows: Flows) -> list[Pair]:
    """Return the keys and values of this position's events, in the order of the spec."""
    values = [in_runs(flows[name], memory.heads) for name in memory.values]
    if memory.net.kind == "vector":
        return [(value.new_ones(*value.shape[:-1], 1), value) for value in values]
    keys = [in_runs(flows[name], memory.heads) for name in memory.keys]
    return list(zip(keys, values, strict=True))


def position(memory: Memory, flows: Flows, number: int, home: Matrices | None = None) -> Position:
    """Return all that a memory learns from at position `number`, counted from 1.

    `home` is what its retention pulls towards, None for 0.
    """
    events = pairs(memory, flows)
    like = events[0][1]

    def factor(coefficient: Coefficient) -> Tensor:
        return coefficients.factor(memory, coefficient, flows, like)

    rule, delta, erase = memory.rule, memory.objective.delta, memory.rule.erase
    rate = factor(rule.rate)
    turn = None if delta is None else coefficients.each_head(memory, factor(delta))
    return Position(
        events=tuple(Event(key, value, rate, turn) for key, value in events),
        rates=Rates(
            retain=factor(rule.retain),
            momentum=factor(rule.momentum),
            step=factor(rule.step),
            erase=None if erase.rate is None else factor(erase.rate),
            erase_key=None if erase.key is None else in_runs(flows[erase.key], memory.heads),
            home=home,
        ),
        share=_share(memory, flows, number, like) if has_share(memory) else None,
    )


def _share(memory: Memory, flows: Flows, number: int, like: Tensor) -> Tensor:
    """Return c of θ = Θ + c (A − Θ): a flow, or 1 over the positions since Θ last moved."""
    lead = like.shape[:2]
    if memory.rule.reduce_is_flow:
        return flows[memory.rule.reduce].expand(lead)
    periods = [clock.period for clock in (memory.level, memory.reset) if clock.period]
    since = min(((number - 1) % period for period in periods), default=number - 1)
    return like.new_full(lead, 1 / (since + 1))
