"""Counterparts of one size: as many parameters, or as many FLOPs a token, within a hundredth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from nestgraph.analysis.costs import total
from nestgraph.errors import InputError, SpecError
from nestgraph.findings import listed
from nestgraph.language.spec import Spec
from nestgraph.rewriting.document import model_of
from nestgraph.rewriting.static import static

WITHIN = 0.01
FINENESS = 100  # steps of a hidden layer's width between nothing and what it was
VARS = ("hidden", "inner", "expansion", "width")  # that say how large a spec is, the finest first


class Measure(StrEnum):
    """What two specs can have as much of."""

    PARAMETERS = "parameters"
    FLOPS = "flops"

    def of(self, spec: Spec) -> float:
        """Return parameters of a spec, or FLOPs of a token, forward, at its training context."""
        cost = total(spec.system)
        return cost.parameters if self is Measure.PARAMETERS else cost.flops

    def told(self, amount: float) -> str:
        """Return an amount in words."""
        return f"{amount:,.0f} {'parameters' if self is Measure.PARAMETERS else 'FLOPs a token'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sized:
    """A spec that was made as large as another.

    Attributes:
        spec: the outcome.
        changed: what was widened or narrowed, in words; empty where nothing had to be.
        wanted: what the other has of the measure.
        found: what the outcome has.
    """

    spec: Spec
    changed: str
    wanted: float
    found: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Knob:
    """What makes a spec wider or narrower.

    Attributes:
        make: the spec by a number of steps, which is 1 or more.
        start: the number that it has now.
        tell: what a number of steps changes, in words.
    """

    make: Callable[[int], Spec]
    start: int
    tell: Callable[[int], str]


def static_as_large(spec: Spec, measure: Measure) -> Sized:
    """Return the static counterpart of a spec, with as much of a measure as the spec.

    Its maps are left as they are where they agree already; else their hidden layers become wider
    or narrower, all by one factor, and each matrix gets one.

    Args:
        spec: a model.
        measure: what both are to have as much of.

    Raises:
        InputError: NG955, when nothing in it learns in context; NG956, when no width agrees.
    """
    knob = _Knob(
        make=lambda steps: static(spec, hidden=steps / FINENESS),
        start=FINENESS,
        tell=lambda steps: f"hidden layers of maps are {steps / FINENESS:g} times as wide",
    )
    what = "width of the hidden layers of its maps"
    return _sized(static(spec), measure, measure.of(spec), [knob], what)


def as_large(spec: Spec, target: Spec, measure: Measure) -> Sized:
    """Return a spec that is as large as another by the finest of its vars that say a size.

    Args:
        spec: a model with `hidden`, `inner`, `expansion` or `width` among its vars.
        target: the model that it is compared with.
        measure: what both are to have as much of.

    Raises:
        InputError: NG955, for an optimizer; NG956, when it has no such var, or none agrees.
    """
    model_of(spec), model_of(target)
    what = f"value of {listed(VARS, 'or')}, the vars that say a size,"
    return _sized(spec, measure, measure.of(target), _knobs(spec), what)


def _knobs(spec: Spec) -> Iterator[_Knob]:
    """Yield the vars of a spec that say its size, with the steps in which they may change."""
    values = {field.name: field.value for field in spec.variables()}
    numbers = {name: float(text) for name, text in values.items() if _is_number(text)}
    heads = numbers.get("heads", 1)  # which divide what is wide; twice that where pairs turn
    steps = {"hidden": 1.0, "inner": heads, "expansion": 1 / 32, "width": 2 * heads}
    for name in VARS:
        if numbers.get(name, 0) > 0:
            yield _knob(spec, name, numbers[name], steps[name])


def _knob(spec: Spec, name: str, start: float, step: float) -> _Knob:
    """Give a spec other values of one of its vars."""

    def make(steps: int) -> Spec:
        value = steps * step
        number = int(value) if value.is_integer() else value
        overrides = {**spec.overrides, f"vars.{name}": number}
        return Spec.from_sources(spec.sources, spec.path, overrides, spec.shipped)

    return _Knob(
        make=make,
        start=max(1, round(start / step)),
        tell=lambda steps: f"`{name}` is {steps * step:g} instead of {start:g}",
    )


def _sized(spec: Spec, measure: Measure, wanted: float, knobs: Iterable[_Knob], what: str) -> Sized:
    """Return the spec as it is where it agrees, else by the first of its knobs by which it does."""
    if _agrees(measure.of(spec), wanted):
        return Sized(spec=spec, changed="", wanted=wanted, found=measure.of(spec))
    nearest = spec
    for knob in knobs:
        try:
            steps, made = _nearest(knob, measure, wanted)
        except SpecError:  # not every width goes with all else that the spec says
            continue
        if _agrees(measure.of(made), wanted):
            found = measure.of(made)
            return Sized(spec=made, changed=knob.tell(steps), wanted=wanted, found=found)
        nearest = min(nearest, made, key=lambda one: abs(measure.of(one) - wanted))
    message = (
        f"no {what} gives `{spec.system.name}` {measure.told(wanted)} within {WITHIN:.0%}; "
        f"the nearest has {measure.told(measure.of(nearest))}"
    )
    raise InputError("NG956", message, "compare specs that are nearer to each other in size")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _nearest(knob: _Knob, measure: Measure, wanted: float) -> tuple[int, Spec]:
    """Return the number of steps, from 1 on, whose spec has an amount of a measure, or the nearest
    tried.

    More steps have more of it: the number is doubled or halved until the amount lies between two,
    and then taken where a straight line through both has it.
    """
    tried: dict[int, Spec] = {}

    @cache
    def amount(steps: int) -> float:
        tried[steps] = knob.make(steps)
        return measure.of(tried[steps])

    low = high = knob.start
    while amount(low) > wanted and low > 1:
        low //= 2
    while amount(high) < wanted and amount(2 * high) > amount(high):
        high *= 2
    while high - low > 1 and amount(low) < wanted < amount(high):
        if any(_agrees(amount(one), wanted) for one in (low, high)):
            break
        share = (wanted - amount(low)) / (amount(high) - amount(low))
        between = min(high - 1, max(low + 1, round(low + share * (high - low))))
        low, high = (between, high) if amount(between) < wanted else (low, between)
    best = min(tried, key=lambda steps: abs(amount(steps) - wanted))
    return best, tried[best]


def _agrees(found: float, wanted: float) -> bool:
    return abs(found - wanted) <= WITHIN * wanted
