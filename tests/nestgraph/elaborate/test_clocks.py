"""Levels: clocks by name."""

from __future__ import annotations

import pytest
from mistakes import FILE, GOOD, errors, errors_with

from nestgraph.language.spec import Spec
from nestgraph.language.system import Clock


def clock(text: str, **overrides: object) -> Clock:
    spec = Spec.from_sources({FILE: GOOD.replace("4 tokens", text)}, FILE, overrides)
    return spec.system.clocks["fast"]


@pytest.mark.parametrize(
    ("text", "unit", "period"),
    [
        ("16 tokens", "tokens", 16),
        ("1 token", "tokens", 1),
        ("8 steps", "steps", 8),
        ("1 step", "steps", 1),
        ("$w tokens", "tokens", 8),
        ("$w * 2 - 1 steps", "steps", 15),
        ("'$w tokens'", "tokens", 8),
        ("1e2 tokens", "tokens", 100),
        ("token", "tokens", 1),
        ("step", "steps", 1),
        ("never", "never", 0),
    ],
)
def test_clocks(text: str, unit: str, period: int):
    found = clock(text)

    assert (found.name, found.unit, found.period) == ("fast", unit, period)
    assert str(found.span) == f"{FILE}:4:10"


def test_a_var_may_hold_a_whole_clock():
    assert clock("$when", **{"vars": {"when": "3 steps", "w": 8, "d": 4}}).period == 3


def test_built_in_levels_are_always_there():
    clocks = Spec.from_sources({FILE: GOOD}, FILE).system.clocks

    assert list(clocks) == ["token", "step", "never", "fast"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4", "4:16: NG104 level `fast` is 4; expected a clock; write `16 tokens`"),
        ("[4]", "4:16: NG104 level `fast` is a list; expected a clock; write `16 tokens`"),
        ("4 tokns", "4:16: NG104 level `fast` is `4 tokns`, which is no clock"),
        ("nevr", "4:16: NG104 level `fast` is `nevr`, which is no clock; did you mean `never`?"),
        ("0 tokens", "4:16: NG104 period of level `fast` is 0; expected 1 or more"),
        ("-1 tokens", "4:16: NG104 period of level `fast` is -1; expected 1 or more"),
        ("9999999999999 tokens", "4:16: NG104 period of level `fast` is 9999999999999; expected"),
        (
            "$w / 3 tokens",
            "4:16: NG105 period of level `fast` is 2.66667 but must be whole; write `//`",
        ),
        (
            "9e12 + 0.5 + 0 * $w steps",
            "4:16: NG105 period of level `fast` is 9e+12 but must be whole; write `never`",
        ),
        ("2.5 steps", "4:16: NG105 period of level `fast` is 2.5 but must be whole"),
        ("foo tokens", "4:16: NG107 `foo` stands where a number is due"),
        ("$q tokens", "4:16: NG108 no var is called `$q`"),
        ("$w", "4:16: NG104 level `fast` is `8`, which is no clock"),
    ],
)
def test_what_is_no_clock_is_refused(text: str, found: str):
    (line,) = errors_with("4 tokens", text)

    assert line.startswith(f"{FILE}:{found}")


@pytest.mark.parametrize(
    ("number", "written"), [(".inf", "never"), ("-.inf", "1 tokens"), (".nan", "1 tokens")]
)
def test_a_period_that_is_no_finite_number_is_refused_with_a_clock_to_write(
    number: str, written: str
):
    lines = errors(GOOD.replace("w: 8", f"w: 8, p: {number}").replace("4 tokens", "$p tokens"))

    (line,) = [line for line in lines if "level `fast`" in line]
    assert "NG105 period of level `fast` is" in line
    assert line.endswith(f"write `{written}`")
    assert errors(GOOD.replace("4 tokens", written)) == []


def test_a_built_in_level_is_not_declared_again():
    (line,) = errors_with("fast:", "step:")

    assert "NG206 level `step` is built in; choose another name" in line


def test_levels_must_be_a_mapping():
    (line,) = errors_with("{fast: 4 tokens}", "[fast]")

    assert "NG104 `levels` is a list; expected a mapping; write" in line
