"""What is measured beside a model: its controls and ablations, each an ordinary spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec
from nestgraph.rewriting import Measure, ablated, rates_off, static, static_as_large

Controls = Literal["none", "static", "rates-off", "baselines", "all"]
Match = Literal["none", "parameters", "flops"]

NOTHING_TO_TAKE = "NG955"


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """A spec that was made from another.

    Attributes:
        name: what was made of it, as a table calls it: `static`, `without dgd`.
        spec: the outcome.
        note: what gives it the size that its name says, in words; empty for nothing.
    """

    name: str
    spec: Spec
    note: str = ""


def controls_of(spec: Spec, which: Controls) -> tuple[Counterpart, ...]:
    """Return the controls of a spec.

    Static are three: the maps as their memories were, and twice with hidden layers that give the
    model as many parameters as the spec has, and as many FLOPs a token. One that agrees within a
    hundredth without any change is not made again.

    Args:
        spec: a model.
        which: all of them are those that it can have.

    Raises:
        InputError: NG955, when the spec has nothing that a control could take away; NG956, when
            no size agrees.
    """
    if which in ("none", "baselines"):  # other ways to learn, which are no other specs
        return ()
    if which == "rates-off":
        return (Counterpart(name="rates off", spec=rates_off(spec)),)
    found = tuple(_static(spec))
    return found if which == "static" else (*found, *_rates_off_if_any(spec))


def ablations_of(spec: Spec, names: Sequence[str]) -> tuple[Counterpart, ...]:
    """Return the spec without one part at a time.

    Args:
        spec: a model, with all its parts.
        names: among `nestgraph.rewriting.ABLATIONS`.

    Raises:
        InputError: NG955, when the spec lacks one of the parts.
    """
    return tuple(Counterpart(name=f"without {name}", spec=ablated(spec, name)) for name in names)


def _static(spec: Spec) -> Iterator[Counterpart]:
    yield Counterpart(name="static", spec=static(spec))
    for measure, words in ((Measure.PARAMETERS, "parameters"), (Measure.FLOPS, "FLOPs")):
        made = static_as_large(spec, measure)
        if made.changed:
            yield Counterpart(name=f"static, equal {words}", spec=made.spec, note=made.changed)


def _rates_off_if_any(spec: Spec) -> tuple[Counterpart, ...]:
    """Return none for a spec whose only inner memories are attention, which has no rates."""
    try:
        return controls_of(spec, "rates-off")
    except InputError as error:
        if error.diagnostics[0].code != NOTHING_TO_TAKE:
            raise
        return ()
