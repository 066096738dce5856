"""Findings print with their place, and stay readable whatever the file holds."""

import pickle

import pytest

from nestgraph.display.terminal import columns_of, inert
from nestgraph.errors import WIDEST, Diagnostic, Span, SpecError, in_file_order, render


def finding(line: int = 1, column: int = 3, end: int | None = 6) -> Diagnostic:
    span = Span(file="a.yaml", line=line, column=column, end_column=end)
    return Diagnostic(code="NG103", message="unknown key `kyes`", span=span, hint="use `keys`")


def test_a_finding_shows_its_line_with_a_caret_under_the_place() -> None:
    text = render(finding(), {"a.yaml": "a kyes\n"})

    assert text == (
        "a.yaml:1:3: NG103 unknown key `kyes`; use `keys`\n    1 | a kyes\n          ^^^"
    )


def test_a_finding_outside_its_file_shows_its_head_alone() -> None:
    assert render(finding(line=9), {"a.yaml": "a"}) == str(finding(line=9))
    assert render(finding(), {}) == str(finding())


def test_a_warning_says_that_it_is_one() -> None:
    warning = Diagnostic(code="NG401", message="slow", severity="warning")

    assert render(warning) == "warning: NG401 slow"


def test_a_very_long_line_is_cut_around_the_place() -> None:
    line = "x" * 3000 + "HERE" + "y" * 3000
    head, shown, caret = render(finding(column=3001, end=3005), {"a.yaml": line}).splitlines()

    assert len(shown) < WIDEST + 20
    at = caret.index("^")
    assert shown[at : at + 4] == "HERE"
    assert caret[at:] == "^^^^"
    assert head.startswith("a.yaml:1:3001: ")


def test_tabs_keep_the_caret_under_the_place() -> None:
    _, shown, caret = render(finding(column=3, end=4), {"a.yaml": "\t\tk: 1"}).splitlines()

    assert shown[caret.index("^")] == "k"


@pytest.mark.parametrize(
    ("before", "word"),
    [
        ("\x1b[31m", "kyes"),
        ("\u202e記憶", "kyes"),
        ("e\u0301", "kyes"),
        ("", "\x1b[2Jk"),
        ("a: ", "記憶"),
        ("x" * 300 + "\x07", "\x9bk"),
    ],
    ids=ascii,
)
def test_the_caret_stands_under_what_is_shown_for_the_place(before: str, word: str) -> None:
    line = f"{before}{word}: 1"
    found = finding(column=len(before) + 1, end=len(before + word) + 1)

    _, shown, caret = render(found, {"a.yaml": line}).splitlines()

    left, _, right = shown.partition(inert(word))
    assert right == ": 1"
    assert caret == " " * columns_of(left) + "^" * columns_of(inert(word))


def test_a_finding_acts_on_no_terminal_in_whatever_part_of_it() -> None:
    span = Span(file="\x1b[2J.yaml", line=1, column=1, end_column=2)
    found = Diagnostic(code="NG103", message="unknown `\x9b`", span=span, hint="use `\u202e`")

    text = str(SpecError([found], {span.file: "\x07"}))

    assert inert(text, "\n") == text
    assert "\\u001b[2J.yaml:1:1: NG103 unknown `\\u009b`; use `\\u202e`" in text


def test_findings_are_sorted_by_place_and_never_repeat() -> None:
    late, early = finding(line=7), finding(line=2)
    nowhere = Diagnostic(code="NG100", message="no file")

    assert in_file_order([late, early, nowhere, late]) == (nowhere, early, late)


def test_the_exception_prints_every_finding() -> None:
    error = SpecError([finding(line=2), finding()], {"a.yaml": "a kyes\nb kyes"})

    assert str(error).count("NG103") == 2
    assert [d.span.line for d in error.diagnostics if d.span] == [1, 2]


def test_the_exception_survives_a_process_border() -> None:
    error = pickle.loads(pickle.dumps(SpecError([finding()])))

    assert error.diagnostics == (finding(),)
