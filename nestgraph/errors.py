"""Places, findings and the one exception that an author of a spec meets.

A `Span` is a place in a file, a `Diagnostic` is one finding at a place, and `SpecError`
carries every finding of one run. Lines and columns count from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["error", "warning", "note"]

WIDEST = 140  # characters of a source line that are shown with a finding

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
        return f"{place}{self.code} {self.message}{hint}"


def render(diagnostic: Diagnostic, sources: Mapping[str, str] = NO_SOURCES) -> str:
    """The finding as text, with the source line and a caret where the file is known."""
    head = str(diagnostic)
    if diagnostic.severity != "error":
        head = f"{diagnostic.severity}: {head}"
    span = diagnostic.span
    if span is None or span.file not in sources:
        return head
    lines = sources[span.file].splitlines()
    if not 1 <= span.line <= len(lines):
        return head
    gutter = f"{span.line:>5} | "
    text, before = _window(lines[span.line - 1], span.column - 1)
    width = max(1, (span.end_column or span.column + 1) - span.column)
    caret = " " * (len(gutter) + before) + "^" * min(width, max(1, len(text) - before))
    return f"{head}\n{gutter}{text}\n{caret}"


def _window(line: str, at: int) -> tuple[str, int]:
    """What of a source line is shown, and how many characters of it stand before `at`.

    A tab takes one column, as spans count it. A line too wide for a screen is cut on both sides.
    """
    line = line.replace("\t", " ")
    if len(line) <= WIDEST:
        return line, at
    start = max(0, min(at - WIDEST // 2, len(line) - WIDEST))
    left, right = "..." * (start > 0), "..." * (start + WIDEST < len(line))
    return f"{left}{line[start : start + WIDEST]}{right}", at - start + len(left)


class SpecError(ValueError):
    """Raised when a spec can't be read, checked or run; holds every finding at once.

    Attributes:
        diagnostics: the findings, in file order.
        sources: text by file name, for the caret lines of `str()`.
    """

    def __init__(
        self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, str] = NO_SOURCES
    ) -> None:
        self.diagnostics = in_file_order(diagnostics)
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
    """Findings without repeats, sorted by place; those without a place come first."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    # Not the span itself: its last column may be None, which has no order.
    span = diagnostic.span or Span(file="", line=0, column=0)
    return (span.file, span.line, span.column, diagnostic.code, diagnostic.message)
