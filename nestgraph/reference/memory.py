"""Memories that learn: one write (§5), one read (§6), one tick (§3).

Coefficients are (batch, heads), with 1 where they don't vary; everything else leads with both.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nestgraph.reference.nets import Matrices, apply, forward, gradient, outer
from nestgraph.reference.state import Learned
from nestgraph.system import At, Memory


class Event(NamedTuple):
    """What one position gives a memory to learn from.

    Attributes:
        key: (batch, heads, d_k).
        value: (batch, heads, d_v); with `values: {self: v}` what the memory is asked for it.
        rate: η.
        retain: α.
        momentum: β.
        erase_rate: ρ; None where the erase follows η.
    """

    key: Tensor
    value: Tensor
    rate: Tensor
    retain: Tensor
    momentum: Tensor
    erase_rate: Tensor | None


def write(memory: Memory, state: Learned, event: Event) -> Learned:
    """The state after one event (§5). The anchor stays: only `tick` moves it."""
    rule, net = memory.rule, memory.net
    kept = event.retain if state.kept is None else state.kept * event.retain
    # Θ̄ = (Π α) Θ if retain_first else Θ: where the gradient is taken.
    anchor = scaled(state.anchor, kept) if rule.retain_first else state.anchor
    # A memory's own answer is a target, read at Θ as a `boundary` read would.
    value = event.value
    if memory.self_values:
        value = forward(net, state.anchor, value).answer
    slopes, layer_inputs = gradient(net, memory.objective, anchor, event.key, value)

    running: list[Tensor] = []
    momentum: list[Tensor] = []
    for layer, (slope, a) in enumerate(zip(slopes, layer_inputs, strict=True)):
        # r = η / (1 + η‖a‖²) if implicit else η
        rate = event.rate
        if rule.implicit:
            rate = rate / (1 + rate * a.square().sum(-1))
        # S ← β S − r G
        push = -_on(rate, slope)
        if state.momentum:
            push = _on(event.momentum, state.momentum[layer]) + push
            momentum.append(push)
        # A ← α A − ρ (R a) aᵀ + S, where R = α A if retain_first else A
        retained = _on(event.retain, state.running[layer])
        new = retained + push
        if _erases(memory, layer):
            erased_from = retained if rule.retain_first else state.running[layer]
            erase_rate = rate if event.erase_rate is None else event.erase_rate
            new = new - _on(erase_rate, outer(apply(erased_from, a), a))
        running.append(new)
    return Learned(
        running=tuple(running),
        anchor=state.anchor,
        momentum=tuple(momentum),
        kept=None if state.kept is None else kept,
    )


def read(memory: Memory, before: Learned, after: Learned | None, query: Tensor, at: At) -> Tensor:
    """The answer to a query (§6): by θ_{t−1}, by θ_t, or by Θ."""
    if at == "after":
        assert after is not None, "the order puts the write before an `after` read"
        weights = after.running
    else:
        weights = before.running if at == "before" else before.anchor
    return forward(memory.net, weights, query).answer


def tick(memory: Memory, state: Learned, position: int) -> Learned:
    """Commits Θ ← A behind the last position of each period; momentum lives on.

    A tick lies between two positions (§3). Done at the end of the first of them, it is in the
    state that leaves the model there.
    """
    period = memory.level.period  # 0: never
    if not period or position % period:
        return state
    kept = None if state.kept is None else state.kept.new_ones(state.kept.shape)
    return state._replace(anchor=state.running, kept=kept)


def scaled(matrices: Matrices, factor: Tensor) -> Matrices:
    """Every matrix times its head's factor."""
    return tuple(_on(factor, matrix) for matrix in matrices)


def _on(coefficient: Tensor, matrix: Tensor) -> Tensor:
    return coefficient[..., None, None] * matrix


def _erases(memory: Memory, layer: int) -> bool:
    """`key` erases in the layer that sees the key, `layers` in each under its own input."""
    where = memory.rule.erase.where
    return where == "layers" or (where == "key" and layer == 0)
