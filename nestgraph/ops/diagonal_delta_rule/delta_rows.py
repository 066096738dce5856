"""Chunks of a `diagonal_delta` memory in which rows differ: an inverse a row, a solve a chunk.

Rates or retention by value give row e of A pulls c_e, or fades P_e, of its own. From the state A
before a chunk, with b_e what is left of row e before each position (`delta_columns` has the rest):

    u_e = (I + c_e M_xy P_e)^-1 (w_e - c_e (M_xz P_e w_e + b_e X̂ A_e))

The loop goes over chunks. Its C·C·E numbers are worked out again for the backward, chunk by
chunk, so that states and arguments are all that is kept.

Legend: G groups, N chunks of C positions, a events of a kind a position, D key width,
E value width, e = E or 1.
FLOPs a position and group: C p² E for the solve, 2 C R (p + f) E for the answers, and 2 D E for
each of p, R and p + f.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nestgraph.ops.common.chunks import Cut
from nestgraph.ops.delta_rule.decay import ratios
from nestgraph.ops.diagonal_delta_rule.chunk_decay import Decay
from nestgraph.ops.diagonal_delta_rule.delta_columns import Met, both, flat, meet
from nestgraph.ops.diagonal_delta_rule.delta_events import Events
from nestgraph.ops.history.decay_matrix import earlier

CHUNK = 16
"""A row's numbers grow with C²."""


class _Chunk(NamedTuple):
    """One chunk of all groups; keys and queries faded by key or head where that is so.

    Attributes:
        met: M.
        pulled: X̂, (G, C·p, D).
        queries: Q̂, (G, C·R, D).
        keys: Ŷ and Ẑ, (G, C·(p + f), D).
        rates: c, (G, C·p, e).
        values: w, (G, C·(p + f), E).
        left: what is left of the state, (G, 1, 1 or D).
        alpha: retention by value (G, E, C), or None.
    """

    met: Met
    pulled: Tensor
    queries: Tensor
    keys: tuple[Tensor, Tensor]
    rates: Tensor
    values: tuple[Tensor, Tensor]
    left: Tensor
    alpha: Tensor | None


def run(
    cut: Cut,
    decay: Decay,
    events: Events,
    first_GED: Tensor,
    queries_BHTRD: Tensor,
    alpha_GNCE: Tensor | None,
    signed: bool,
) -> tuple[Tensor, Tensor]:
    """Return answers (G, N, C, R, E) from the state before each position, and the last state."""
    pulled, rates, keys, values, queries = (
        cut.split(x)
        for x in (events.pulled, events.rates, events.keys, events.values, queries_BHTRD)
    )
    pulls = events.pulls
    met = meet(decay, pulled, queries, keys, pulls)
    whole = decay.whole()
    left = keys.new_ones(keys.shape[:2]) if whole is None else whole
    left = left.view(*keys.shape[:2], 1, -1)
    ends, written = both(decay.until_end(keys), pulls), both(values, pulls)
    tensors = [*met, flat(decay.since_start(pulled)), flat(decay.since_start(queries)), *ends]
    tensors += [flat(rates), *written, left]
    if alpha_GNCE is not None:
        tensors.append(alpha_GNCE.mT)
    state, answers = first_GED, []
    for chunk in zip(*(x.unbind(1) for x in tensors), strict=True):
        state, answer = checkpoint(_advance, state, signed, *chunk, use_reentrant=False)
        answers.append(answer)
    shape, rows = queries.shape[:4], first_GED.shape[1]
    return torch.stack(answers, 1).view(*shape, rows), state


def _advance(state_GED: Tensor, signed: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the state behind one chunk and its answers (G, C·R, E)."""
    met, (pulled, queries, *rest) = Met(*tensors[:4]), tensors[4:]
    chunk = _Chunk(
        met, pulled, queries, (rest[0], rest[1]), rest[2], (rest[3], rest[4]), rest[5],
        rest[6] if len(rest) > 6 else None,
    )  # fmt: skip
    return _Rows(chunk, signed).advance(state_GED)


class _Rows:
    """A chunk with what retention by value leaves."""

    def __init__(self, chunk: _Chunk, signed: bool) -> None:
        self.chunk = chunk
        self.events: Tensor | None = None
        if chunk.alpha is not None:
            self.events, start = ratios(chunk.alpha, signed)
            self.start = earlier(start.unsqueeze(-1), 1.0).squeeze(-1)
            self.before = earlier(self.events, 0.0)
            self.whole = start[..., -1:]

    def advance(self, state_GED: Tensor) -> tuple[Tensor, Tensor]:
        """See `_advance`."""
        chunk, met = self.chunk, self.chunk.met
        free = chunk.values[1].mT
        answers = self._from_start(chunk.queries, state_GED) + self._pass(met.qz, free)
        left = state_GED * chunk.left
        if self.events is not None:
            left = left * self.whole
        left = left + self._until_end(free) @ chunk.keys[1]
        if chunk.pulled.shape[1] == 0:
            return left, answers.mT
        pace = chunk.rates.mT
        seen = self._from_start(chunk.pulled, state_GED) + self._pass(met.xz, free)
        pulls = self._solve(pace, chunk.values[0].mT - pace * seen)
        answers = answers + self._pass(met.qy, pulls)
        return left + self._until_end(pulls) @ chunk.keys[0], answers.mT

    def _from_start(self, x_GAD: Tensor, state_GED: Tensor) -> Tensor:
        """Return x through the state as it is before each position, (G, E, C·a)."""
        seen = state_GED @ x_GAD.mT
        return seen if self.events is None else seen * _copies(self.start, x_GAD, -1)

    def _until_end(self, u_GEA: Tensor) -> Tensor:
        if self.events is None:
            return u_GEA
        return u_GEA * _copies(self.events[..., -1, :], u_GEA.mT, -1)

    def _pass(self, met_GAB: Tensor, u_GEB: Tensor) -> Tensor:
        """Return Σ_i M_ti P_ti u_i, (G, E, C·a)."""
        if self.events is None:
            return u_GEB @ met_GAB.mT
        return (self._faded(met_GAB) @ u_GEB.unsqueeze(-1)).squeeze(-1)

    def _faded(self, met_GAB: Tensor) -> Tensor:
        """Return M with retention by value, (G, E or 1, C·a, C·b)."""
        met = met_GAB.unsqueeze(1)
        if self.events is None:
            return met
        return met * _copies(_copies(self.before, met, -2), met.mT, -1)

    def _solve(self, pace_GEA: Tensor, right_GEA: Tensor) -> Tensor:
        lower = self._faded(self.chunk.met.xy) * pace_GEA.unsqueeze(-1)
        wide = lower.expand(*right_GEA.shape[:2], -1, -1)
        solved: Tensor = torch.linalg.solve_triangular(
            wide, right_GEA.unsqueeze(-1), upper=False, unitriangular=True
        )
        return solved.squeeze(-1)


def _copies(x: Tensor, like: Tensor, axis: int) -> Tensor:
    """Return a position's entry for each of its events, of which `like` has a row each."""
    return x.repeat_interleave(like.shape[-2] // x.shape[axis], axis)
