"""Text that does nothing to a terminal but stand on it."""

from __future__ import annotations

import json
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nestgraph.display.terminal import LINES, columns_of, inert, padded

ACTING = (
    [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
    + list("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    + list("\u2028\u2029\ufeff\u200b\u00ad\udc80")
)


@pytest.mark.parametrize("letter", ACTING, ids=ascii)
def test_a_letter_that_acts_on_a_terminal_is_shown_as_its_number(letter: str) -> None:
    assert inert(f"a{letter}b") == f"a\\u{ord(letter):04x}b"


@given(st.text())
def test_what_is_inert_stays_as_it_is_and_can_be_encoded(text: str) -> None:
    shown = inert(text)

    assert inert(shown) == shown
    shown.encode()
    assert not any(unicodedata.category(letter) == "Cc" for letter in shown)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_and_yaml_mean_the_same_after_as_before(text: str) -> None:
    shown = inert(json.dumps(text, ensure_ascii=False))

    assert json.loads(shown) == text
    assert yaml.safe_load(shown) == text


def test_a_text_of_lines_keeps_its_lines() -> None:
    assert inert("a\n\tb\rc", LINES) == "a\n\tb\\u000dc"


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("記憶", 4), ("e\u0301", 1), ("", 0), ("ｗｉｄｅ", 8)]
)
def test_wide_letters_take_two_columns_and_accents_none(text: str, columns: int) -> None:
    assert columns_of(text) == columns
    assert columns_of(padded(text, 10)) == 10
