"""One matrix at every token of a segment, written out: for rules that no sum of few products holds.

    S_t = β_t ⊙ S_{t-1} - Σ_{j counts at t} r_j ⊙ (d_j a_jᵀ)
    A_t = α_t ⊙ A_{t-1} - Σ_{j new at t} ρ_j ⊙ (R_t e_j) e_jᵀ + γ_t ⊙ D(S_t)

with R = α ⊙ A if `retain_first`, else A, and D the identity or Newton-Schulz (Atlas, arXiv
2505.23735): every S_t of the segment is orthogonalised in one batch. Coefficients may differ by
row, column or cell. Costs and keeps E·D numbers a token in each of S, D(S) and A.

Legend: B batch, H heads, M stacked memories, T positions, J events, D input width, E output width
of a layer; N is 1 where all members share a tensor, else M.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nestgraph.ops.history.decay_matrix import band
from nestgraph.ops.history.newton_schulz import newton_schulz
from nestgraph.ops.ttt.memory_config import MemoryConfig
from nestgraph.ops.ttt.rank1_grads import Rank1Grads
from nestgraph.ops.ttt.rates import Rates, erase_rate, spread, write_rate


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """A matrix with its state at every token.

    Attributes:
        weights: A_0, (B, H, M, E, D).
        moved: A_1 .. A_T, (B, H, M, T, E, D).
        speed: S_T, or None without momentum.
    """

    weights: Tensor
    moved: Tensor
    speed: Tensor | None

    def states(self) -> Tensor:
        """Return A_1 .. A_T."""
        return self.moved

    def read(self, x_BHNTD: Tensor, *, before: bool) -> Tensor:
        """Return x_t through A_t, or A_{t-1} if `before`; (B, H, M, T, E)."""
        return through(shifted(self.weights, self.moved) if before else self.moved, x_BHNTD)

    def advance(self) -> tuple[Tensor, Tensor | None]:
        """Return a and S after the last token."""
        return self.moved[..., -1, :, :], self.speed


def through(weights_BHMTED: Tensor, x_BHNTD: Tensor) -> Tensor:
    """Return every token's vector through its own matrix, (B, H, M, T, E)."""
    return (weights_BHMTED @ x_BHNTD.unsqueeze(-1)).squeeze(-1)


def shifted(first_BHMED: Tensor, later_BHMTED: Tensor) -> Tensor:
    """Return the state before every token."""
    return torch.cat((first_BHMED.unsqueeze(-3), later_BHMTED[..., :-1, :, :]), -3)


def materialized_layer(
    config: MemoryConfig,
    index: int,
    weights: Tensor,
    speed: Tensor | None,
    factors: Rank1Grads,
    rates: Rates,
    rate_BHJ: Tensor | None,
    erase_key_BHTD: Tensor | None,
    towards: Tensor | None = None,
) -> Materialized:
    """Return the state at every token.

    Args:
        config: what the memories are.
        index: of the layer, 0 at the input side; biases lie behind the matrices.
        weights: A_0, (B, H, M, E, D).
        speed: S_0, or None.
        factors: input and slope of every event.
        rates: coefficients of the segment.
        rate_BHJ: the rate of every event, those in the window included.
        erase_key_BHTD: e, where the erase has a key of its own.
        towards: what the weights are counted from (`start_offset.py`): an erase meets both.
    """
    walk = _Walk(config, index, weights, rates, towards)
    rate = write_rate(config, index, factors.inputs, rate_BHJ)
    pushes = -_pushes(config, factors, rate, walk)
    speeds = walk.momentum(speed, pushes)
    steps = speeds
    if config.direction_steps and index < config.layers:
        steps = newton_schulz(speeds, config.direction_steps)
    steps = walk.stepped(steps)
    erasure = None
    if config.erases(index):
        keys = factors.inputs if erase_key_BHTD is None else erase_key_BHTD.unsqueeze(2)
        keys = keys[..., -walk.time * (1 if config.erase_key else config.events) :, :]
        erasure = (keys, erase_rate(config, rate, rates, keys))
    moved = walk.retained(steps, erasure)
    last = speeds[..., -1, :, :] if config.momentum else None
    return Materialized(weights=weights, moved=moved, speed=last)


class _Walk:
    """The recurrences of one matrix over a segment."""

    def __init__(
        self,
        config: MemoryConfig,
        index: int,
        weights: Tensor,
        rates: Rates,
        towards: Tensor | None,
    ) -> None:
        self.config, self.weights, self.rates, self.towards = config, weights, rates, towards
        self.rows, self.columns = weights.shape[-2:]
        self.time = 0

    def over(self, role: str, x: Tensor) -> Tensor:
        """Return a coefficient over the matrix, (B, H, 1, T, rows or 1, columns or 1)."""
        return spread(x, self.config.kind(role), self.rows, self.columns)

    def momentum(self, first: Tensor | None, pushes: Tensor) -> Tensor:
        """Return S_1 .. S_T."""
        if first is None or self.rates.momentum is None:
            return pushes
        return _decayed(first, self.over("momentum", self.rates.momentum), pushes)

    def stepped(self, directions: Tensor) -> Tensor:
        """Return γ ⊙ D."""
        if self.rates.step is None:
            return directions
        return self.over("step", self.rates.step) * directions

    def retained(self, steps: Tensor, erasure: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return A_1 .. A_T."""
        alpha = None
        if self.rates.retain is not None:
            alpha = self.over("retain", self.rates.retain)
        if erasure is None:
            return _decayed(self.weights, alpha, steps)
        keys, rho = erasure
        count, state, states = keys.shape[-2] // self.time, self.weights, []
        rho = rho.expand(*rho.shape[:-2], keys.shape[-2], rho.shape[-1])
        for t in range(self.time):
            kept = state if alpha is None else alpha[..., t, :, :] * state
            old = kept if self.config.retain_first else state
            old = old if self.towards is None else old + self.towards
            now = slice(t * count, (t + 1) * count)
            state = kept - self._erased(old, keys[..., now, :], rho[..., now, :])
            state = state + steps[..., t, :, :]
            states.append(state)
        return torch.stack(states, -3)

    def _erased(self, state: Tensor, keys: Tensor, rho: Tensor) -> Tensor:
        """Return Σ ρ ⊙ (R e) eᵀ over the events of one position."""
        own = self.rates.erase is not None or self.config.erase_key
        met, per = keys @ state.mT, self.config.kind("erase_rate" if own else "rate")
        if per in ("head", "value") or rho.shape[-1] == 1:
            return (met * rho).mT @ keys
        if per == "key":
            return met.mT @ (keys * rho)
        cells = rho.unflatten(-1, (self.rows, self.columns))
        erased: Tensor = cells * met.unsqueeze(-1) * keys.unsqueeze(-2)
        return erased.sum(-3)


def _pushes(config: MemoryConfig, factors: Rank1Grads, rate: Tensor | None, walk: _Walk) -> Tensor:
    """Return Σ_j r_j ⊙ (d_j a_jᵀ) over the events that count at each position, (B, H, M, T, E,
    D).
    """
    inputs, slopes = factors.inputs, factors.slopes
    walk.time = (slopes.shape[-2] - config.past) // config.events
    per = config.kind("rate")
    if rate is not None and per in ("head", "value"):
        slopes = slopes * rate
    if rate is not None and per == "key":
        inputs = inputs * rate
    events = slopes.unsqueeze(-1) * inputs.unsqueeze(-2)
    if rate is not None and per == "cell":
        events = events * rate.unflatten(-1, (walk.rows, walk.columns))
    if config.window == 1 and config.events == 1:
        return events
    sums = band(config, walk.time, slopes, walk.rates.written) @ events.flatten(-2)
    return sums.view(*events.shape[:-3], walk.time, *events.shape[-2:])


def _decayed(first: Tensor, alpha: Tensor | None, pushes: Tensor) -> Tensor:
    """Return X_t = α_t ⊙ X_{t-1} + pushes_t for every t."""
    if pushes.shape[-3] == 1:
        start = first.unsqueeze(-3)
        return (start if alpha is None else alpha * start) + pushes
    if alpha is None:
        return first.unsqueeze(-3) + pushes.cumsum(-3)
    state, states = first, []
    for t in range(pushes.shape[-3]):
        state = torch.addcmul(pushes[..., t, :, :], alpha[..., t, :, :], state)
        states.append(state)
    return torch.stack(states, -3)
