"""The pages of codes: each wrong spec gets its code and nothing else, each right one nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nestgraph.codes import CODES
from nestgraph.error_examples import codes, explanation, page

DOCS = Path(__file__).parents[2] / "docs"
OF_SPECS = [code for code in CODES if "NG100" <= code < "NG500"]


def test_every_code_that_a_spec_can_get_has_a_page() -> None:
    assert list(codes()) == OF_SPECS


@pytest.mark.parametrize("code", OF_SPECS)
def test_the_wrong_spec_gets_exactly_the_code(code: str) -> None:
    said = explanation(code).wrong.said()
    assert set(re.findall(r"^.*: (NG\d{3}) ", said, re.MULTILINE)) == {code}
    assert said.startswith("warning: ") == (code in ("NG120", "NG342") or code >= "NG400")


@pytest.mark.parametrize("code", OF_SPECS)
def test_the_right_spec_has_no_findings(code: str) -> None:
    assert explanation(code).right.said() == ""


@pytest.mark.parametrize("code", OF_SPECS)
def test_the_two_specs_are_one_spec_before_and_after(code: str) -> None:
    """The right one differs from the wrong one where the page says, not by being another spec."""
    found = explanation(code)
    before, after = ((one.text, dict(one.changes)) for one in (found.wrong, found.right))
    assert before != after
    assert found.why.endswith((".", "warning."))
    if code != "NG100":
        same = set(found.wrong.text.splitlines()) & set(found.right.text.splitlines())
        assert len(same) >= 3


def test_the_page_of_the_documentation_is_current() -> None:
    """Messages, places and carets of every code: a golden file that readers see."""
    kept = (DOCS / "errors-by-example.md").read_text(encoding="utf-8")
    assert kept == page(), "renew it: python -m nestgraph.error_examples"


def test_every_code_has_an_anchor_in_the_page() -> None:
    kept = (DOCS / "errors-by-example.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (NG\d{3})$", kept, re.MULTILINE) == OF_SPECS
