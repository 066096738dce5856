"""`nestgraph check`: every problem of every spec given, in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import typer

from nestgraph.analysis.support import unsupported
from nestgraph.cli import reports
from nestgraph.cli.failures import USER_ERROR
from nestgraph.cli.opening import settings
from nestgraph.cli.saying import say
from nestgraph.errors import Diagnostic, SpecError
from nestgraph.language.spec import load
from nestgraph.rewriting.stacking import load_stacking, names_network

Found = tuple[tuple[Diagnostic, ...], Mapping[str, str]]


def check_specs(specs: list[str], form: str, changes: list[str]) -> None:
    """Print what is wrong with each spec; end with status 2 if anything is an error."""
    chosen = settings(changes)
    reported = [(spec, *findings_of(spec, chosen)) for spec in specs]
    findings = [finding for _, found, _ in reported for finding in found]
    match form:
        case "json":
            say(reports.as_json(findings))
        case "github":
            _echo_lines(reports.as_github(findings))
        case _:
            for spec, found, sources in reported:
                _echo_lines(reports.as_text(found, sources))
                say(f"{spec}: {reports.tally(found)}")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(USER_ERROR)


def findings_of(spec: str, changes: Mapping[str, object]) -> Found:
    """Return the findings about one spec, and the texts that they point into.

    What no executor runs yet is a note: the language has it, and `check` judges the language.
    """
    try:
        if names_network(spec):
            stacking = load_stacking(spec, changes)
            return stacking.warnings, stacking.sources
        loaded = load(spec, set=changes)
    except SpecError as error:
        return error.diagnostics, error.sources
    notes = (replace(finding, severity="note") for finding in unsupported(loaded.system))
    return (*loaded.warnings, *notes), loaded.sources


def _echo_lines(text: str) -> None:
    if text:
        say(text)
