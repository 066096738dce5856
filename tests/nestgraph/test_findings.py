"""Findings in order, and what authors most likely meant."""

from __future__ import annotations

from nestgraph.errors import Diagnostic, Span, in_file_order
from nestgraph.findings import Findings, closest, did_you_mean, listed
from nestgraph.recovery.habits import HABITS


def test_typos_and_habits_lead_to_known_words():
    assert closest("heds", ["heads", "level"]) == "heads"
    assert closest("HEADS", ["heads", "level"]) == "heads"
    assert closest("learning_rate", ["lr", "steps"]) == "lr"
    assert closest("learning_rate", ["steps"]) is None
    assert closest("zzz", ["heads"]) is None
    assert closest("x", []) is None


def test_a_habit_never_leads_to_itself():
    assert all(word not in meant for word, meant in HABITS.items())


def test_hints_list_what_is_known_unless_it_is_too_much():
    assert did_you_mean("zzz", ["a", "b"]) == "known here: `a` and `b`"
    assert did_you_mean("zzz", [f"n{i}" for i in range(20)]) == ""
    assert did_you_mean("zzz", []) == ""
    assert listed(["a", "b", "c"], "or") == "`a`, `b` or `c`"
    assert listed(["a"]) == "`a`"


def test_only_errors_fail():
    findings = Findings()
    findings.add("NG000", "odd", None, severity="warning")
    assert not findings.failed

    findings.add("NG000", "wrong", None)
    assert findings.failed


def test_findings_at_one_place_are_ordered_whether_or_not_they_know_their_end():
    place = Span(file="a", line=1, column=1)
    longer = Span(file="a", line=1, column=1, end_column=4)
    found = [
        Diagnostic(code="B", message="m", span=longer),
        Diagnostic(code="A", message="m", span=place),
        Diagnostic(code="C", message="m"),
    ]

    assert [one.code for one in in_file_order(found)] == ["C", "A", "B"]
