"""Places, findings and the one exception that an author of a spec meets.

A `Span` is a place in a file, a `Diagnostic` is one finding at a place, and `SpecError`
carries every finding of one run. Lines and columns count from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from nestgraph.display.terminal import LINES, columns_of, inert

Severity = Literal["error", "warning", "note"]

WIDEST = 140  # characters of a source line that are shown with a finding

KNOWN = "known here: "
"""How a hint begins that lists all names of a place; a long list stands once in a run."""
_LONG_LIST = 100  # characters

NO_SOURCES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Span:
    """A stretch of one line of one file; prints as `file:line:column`."""

    file: str
    line: int
    column: int
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One finding: where, which rule (a stable code), what is wrong, and what to do."""

    code: str
    message: str
    span: Span | None = None
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.span}: " if self.span else ""
        hint = f"; {self.hint}" if self.hint else ""
        return inert(f"{place}{self.code} {self.message}{hint}", LINES)


def render(diagnostic: Diagnostic, sources: Mapping[str, str] = NO_SOURCES) -> str:
    """Return the finding as text, with the source line and a caret where the file is known."""
    head = str(diagnostic)
    if diagnostic.severity != "error":
        head = f"{diagnostic.severity}: {head}"
    span = diagnostic.span
    if span is None or span.file not in sources:
        return head
    lines = _lines(sources[span.file])
    if not 1 <= span.line <= len(lines):
        return head
    gutter = f"{span.line:>5} | "
    width = max(1, (span.end_column or span.column + 1) - span.column)
    before, marked, after = _window(lines[span.line - 1], span.column - 1, width)
    indent = " " * (len(gutter) + columns_of(before))
    caret = "^" * max(1, columns_of(marked))
    return f"{head}\n{gutter}{before}{marked}{after}\n{indent}{caret}"


@lru_cache(maxsize=8)  # thousands of findings may point into one text
def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines())


def _window(line: str, at: int, width: int) -> tuple[str, str, str]:
    """Return what of a source line is shown: what stands before a place, the place, and what
    follows.

    A tab takes one column, as spans count it. A line too wide for a screen is cut on both sides.
    """
    line = line.replace("\t", " ")
    start, left, right = 0, "", ""
    if len(line) > WIDEST:
        start = max(0, min(at - WIDEST // 2, len(line) - WIDEST))
        left, right = "..." * (start > 0), "..." * (start + WIDEST < len(line))
    cut, at = line[start : start + WIDEST], at - start
    before, marked, after = cut[:at], cut[at : at + width], cut[at + width :]
    return left + inert(before), inert(marked), inert(after) + right


class SpecError(ValueError):
    """Raised when a spec can't be read, checked or run; holds every finding at once.

    Attributes:
        diagnostics: the findings, in file order.
        sources: text by file name, for the caret lines of `str()`.
    """

    def __init__(
        self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, str] = NO_SOURCES
    ) -> None:
        self.diagnostics = _lists_once(in_file_order(diagnostics))
        assert any(one.severity == "error" for one in self.diagnostics), "refused without a word"
        self.sources = dict(sources)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(render(d, self.sources) for d in self.diagnostics)


class InputError(SpecError):
    """Raised for bad input that lies outside any spec: data, checkpoints, flags, a full disk."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__([Diagnostic(code=code, message=message, hint=hint)])


class InputWarning(UserWarning):
    """Said of input outside any spec that is taken, but not as its author may think."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(str(Diagnostic(code=code, message=message, hint=hint)))


def in_file_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return findings without repeats, sorted by place; those without a place come first."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=_place))


def _lists_once(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return findings whose hints refer to a long list that a finding before them has printed."""
    told: dict[str, Span] = {}
    found = []
    for one in diagnostics:
        if one.span and one.hint.startswith(KNOWN) and len(one.hint) > _LONG_LIST:
            first = told.setdefault(one.hint, one.span)
            if first is not one.span:
                one = replace(one, hint=f"the finding at {first} lists all that are known here")
        found.append(one)
    return tuple(found)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    # Not the span itself: its last column may be None, which has no order.
    span = diagnostic.span or Span(file="", line=0, column=0)
    return (span.file, span.line, span.column, diagnostic.code, diagnostic.message)
