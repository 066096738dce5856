"""How one position's gradients change one part of a state (§5): a matrix, or a bias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from nestgraph.language.system import Memory, Rule
from nestgraph.reference.coefficients import on
from nestgraph.reference.direction import direction
from nestgraph.reference.nets import Event, Gradient, Matrices, apply, is_matrix, outer
from nestgraph.reference.ops import sum_of


class Rates(NamedTuple):
    """The coefficients of one position but for η, each a factor as in `coefficients`.

    Attributes:
        retain: α.
        momentum: β.
        step: γ.
        erase: ρ of its own; None where the erase follows η.
        erase_key: (batch, heads, d_k), what is erased instead of the write keys.
        home: Θ₀, towards which retention pulls, part by part; None pulls towards 0.
    """

    retain: Tensor
    momentum: Tensor
    step: Tensor
    erase: Tensor | None
    erase_key: Tensor | None
    home: Matrices | None


class Lesson(NamedTuple):
    """An event and its gradient."""

    event: Event
    gradient: Gradient


def effective(rule: Rule, lesson: Lesson, part: int) -> Tensor:
    """Return r = η / (1 + η‖a‖²) if implicit, else η. Biases have no such division."""
    rate = lesson.event.rate
    if not rule.implicit or not is_matrix(lesson.gradient.slopes[part]):
        return rate
    norm = lesson.gradient.layer_inputs[part].square().sum(-1)[..., None, None]
    return rate / (1 + rate * norm)


def pushed(
    rule: Rule, part: int, momentum: Tensor | None, beta: Tensor, lessons: Sequence[Lesson]
) -> Tensor:
    """Return S ← β S − Σ r G, over every event that the objective counts."""
    push = -sum_of(on(effective(rule, one, part), one.gradient.slopes[part]) for one in lessons)
    return push if momentum is None else on(beta, momentum) + push


def changed(
    memory: Memory,
    part: int,
    old: Tensor,
    momentum: Tensor,
    rates: Rates,
    new: Sequence[Lesson],
) -> Tensor:
    """Return a ← K − E + γ D(S), with E taken from R = K if retain_first, else from A.

    K is α A, or Θ₀ + α (A − Θ₀) where retention pulls towards the start.

    Args:
        memory: whose rule it is.
        part: index of the matrix or bias.
        old: A.
        momentum: S, behind this position.
        rates: the position's coefficients.
        new: the lessons of this position's own events, which alone are erased.
    """
    retained = kept(rates.retain, old, None if rates.home is None else rates.home[part])
    answer = retained + on(rates.step, direction(memory.rule, momentum))
    for key, rate in _erasures(memory, part, rates, new):
        erased_from = retained if memory.rule.retain_first else old
        answer = answer - on(rate, outer(apply(erased_from, key), key))
    return answer


def kept(factor: Tensor, old: Tensor, home: Tensor | None) -> Tensor:
    """Return what a factor of retention leaves of one part: α A, or Θ₀ + α (A − Θ₀)."""
    return on(factor, old) if home is None else home + on(factor, old - home)


def _erasures(
    memory: Memory, part: int, rates: Rates, new: Sequence[Lesson]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every e of E = Σ ρ ⊙ (R e) eᵀ with its ρ."""
    erase = memory.rule.erase
    if not _erases(memory, part, new):
        return
    if rates.erase_key is not None:  # once a position, however many its events
        one = rates.retain.new_ones(1, 1, 1, 1)
        yield rates.erase_key, one if rates.erase is None else rates.erase
        return
    for lesson in new:
        rate = effective(memory.rule, lesson, part) if erase.rate is None else rates.erase
        assert rate is not None
        yield lesson.gradient.layer_inputs[part], rate


def _erases(memory: Memory, part: int, new: Sequence[Lesson]) -> bool:
    """Return `key` erases in the layer that sees the key, `layers` in each; a bias is never
    erased.
    """
    where = memory.rule.erase.where
    if not is_matrix(new[0].gradient.slopes[part]):
        return False
    return where == "layers" or (where == "key" and part == 0)
