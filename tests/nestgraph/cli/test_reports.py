"""Findings as text, JSON and workflow commands."""

from __future__ import annotations

import json

from nestgraph.cli import reports
from nestgraph.errors import Diagnostic, Span

PLACE = Span(file="a,b.yaml", line=3, column=5, end_column=9)
ERROR = Diagnostic(code="NG201", message="50% of\nit", hint="do", span=PLACE)
NOTE = Diagnostic(code="NG901", message="later", severity="note")


def test_json_keeps_every_part_of_a_finding() -> None:
    placed, bare = json.loads(reports.as_json([ERROR, NOTE]))
    assert placed == {
        "file": "a,b.yaml",
        "line": 3,
        "column": 5,
        "end_column": 9,
        "severity": "error",
        "code": "NG201",
        "message": "50% of\nit",
        "hint": "do",
    }
    assert (bare["file"], bare["line"]) == (None, None)


def test_a_workflow_command_escapes_what_would_end_it() -> None:
    placed, bare = reports.as_github([ERROR, NOTE]).splitlines()
    assert placed == "::error file=a%2Cb.yaml,line=3,col=5,title=NG201::50%25 of%0Ait; do"
    assert bare == "::notice title=NG901::later"


def test_a_tally_counts_by_severity() -> None:
    assert reports.tally([]) == "no problems"
    assert reports.tally([ERROR, ERROR, NOTE]) == "2 errors, 1 note"
    assert reports.tally([NOTE]) == "no problems, 1 note"
