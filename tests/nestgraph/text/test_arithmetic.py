"""The arithmetic of scalars with `$`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestgraph.text.arithmetic import ArithmeticProblem, Word, evaluate, mentions

VARS: dict[str, Word] = {"w": 256, "h": 4, "rate": 0.1, "word": "key", "flag": True}


def value(text: str) -> Word:
    return evaluate(text, lambda name, offset: VARS[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$w", 256),
        ("$word", "key"),
        ("$flag", True),
        (" $w ", 256),
        ("1 - $rate", 0.9),
        ("$w * 8 // 3", 682),
        ("$w * 8 / 3", 256 * 8 / 3),
        ("$h * (3 * $w + 4)", 3088),
        ("$h ^ -0.5", 0.5),
        ("-$h ^ 2", -16),
        ("2 ^ 3 ^ 2", 512),
        ("-$rate", -0.1),
        ("+ - -$h", 4),
        ("$rate * $h / $w", 0.1 * 4 / 256),
        ("10 - 4 - 3", 3),
        ("24 / 4 / 2", 3),
        ("1e-3 * $h", 0.004),
        (".5*$h", 2),
        ("7 // 2.0 + $h", 7),
        ("$w/2", 128),
    ],
)
def test_values(text: str, expected: Word):
    assert value(text) == expected


def test_whole_results_are_whole_numbers():
    assert type(value("$w / 2")) is int
    assert type(value("$rate * 10")) is int


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("$w +", 4, "`$w +` ends where a number is due"),
        ("$w * foo", 5, "`foo` stands where a number is due"),
        ("$w 2", 3, "`2` is not arithmetic"),
        ("$w; 2", 2, "`; 2` is not arithmetic"),
        ("($w", 0, "a bracket is not closed"),
        ("$w)", 2, "`)` is not arithmetic"),
        ("$", 0, "`$` stands where a number is due"),
        ("$w % 2", 3, "`% 2` is not arithmetic"),
        ("$w // 0", 0, "`$w // 0` divides by zero"),
        ("0 ^ -1 + $w", 0, "`0 ^ -1 + $w` divides by zero"),
        ("$word * 2", 0, "`$word` is the word `key`, not a number"),
        ("2 * $flag", 4, "`$flag` is the word `True`, not a number"),
        ("(0 - 8) ^ 0.5 * $w", 0, "`(0 - 8) ^ 0.5 * $w` is not a real number"),
        ("9 ^ 9 ^ 9 ^ 9 + $w", 0, "`9 ^ 9 ^ 9 ^ 9 + $w` is too large"),
        ("1e300 * $w", 0, "`1e300` is too large"),
        ("2 ^ 62 * $w", 0, "`2 ^ 62 * $w` is too large"),
        ("__import__('os') + $w", 0, "`__import__('os') + $w` stands where a number is due"),
    ],
)
def test_what_has_no_value_is_refused_at_its_place(text: str, offset: int, message: str):
    with pytest.raises(ArithmeticProblem) as caught:
        value(text)

    assert str(caught.value) == message
    assert caught.value.offset == offset
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["(" * 3000 + "$w" + ")" * 3000, "-" * 400 + "$w", "$w" + "+1" * 999]
)
def test_endless_texts_are_refused_not_followed(text: str):
    with pytest.raises(ArithmeticProblem):
        value(text)


def test_mentions_come_with_their_offsets():
    assert mentions("1 + $a * $bc") == (("a", 4), ("bc", 9))


@given(st.text("$w0123456789+-*/^(). e", max_size=30))
def test_any_text_has_a_finite_value_or_a_problem_inside_it(text: str):
    offset = 0
    result: Word = 0
    try:
        result = evaluate(text, lambda name, offset: VARS.get(name, 3))
    except ArithmeticProblem as problem:
        offset = problem.offset

    assert 0 <= offset <= len(text)
    assert isinstance(result, int | float)
    assert math.isfinite(result)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 50))
def test_whole_numbers_compute_as_in_python(a: int, b: int, c: int):
    assert value(f"({a}) + ({b}) * ({c})") == a + b * c
    assert value(f"({a}) // ({c}) - ({b})") == a // c - b
