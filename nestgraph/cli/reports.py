"""Findings in the three forms that `check` prints: for people, for programs, for code review."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from nestgraph.errors import Diagnostic, Severity, render

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
GITHUB_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def as_text(findings: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """Return each finding with its source line and a caret."""
    return "\n".join(render(finding, sources) for finding in findings)


def as_json(findings: Iterable[Diagnostic]) -> str:
    """Return a list of objects, one a finding; places count from 1 and are null where there is
    none.
    """
    return json.dumps([_record(finding) for finding in findings], indent=2, ensure_ascii=False)


def as_github(findings: Iterable[Diagnostic]) -> str:
    """Return workflow commands, which GitHub shows beside the lines of a change."""
    return "\n".join(_workflow_command(finding) for finding in findings)


def tally(findings: Iterable[Diagnostic]) -> str:
    """Return `2 errors, 1 note`; `no problems` where nothing is an error."""
    counts = Counter(finding.severity for finding in findings)
    parts = [_counted(counts[name], name) for name in SEVERITIES if counts[name]]
    return ", ".join(parts if counts["error"] else ["no problems", *parts])


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" + ("s" if count != 1 else "")


def _record(finding: Diagnostic) -> dict[str, object]:
    span = finding.span
    return {
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "end_column": span.end_column if span else None,
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
    }


def _workflow_command(finding: Diagnostic) -> str:
    span = finding.span
    fields = {"title": finding.code}
    if span is not None:
        fields = {"file": span.file, "line": str(span.line), "col": str(span.column)} | fields
    text = finding.message + (f"; {finding.hint}" if finding.hint else "")
    properties = ",".join(f"{key}={_escaped(value, ',:')}" for key, value in fields.items())
    return f"::{GITHUB_LEVELS[finding.severity]} {properties}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
