"""YAML text to a tree with places.

- Built from the parser's events, not by recursion: 5,000 brackets are a finding, not a crash.
- Scalars follow YAML 1.2: `1e-3` is a number, `on` is text, `012` is 12.
- Keys are text and come once; tags, merge keys and second documents are refused.
- Aliases share the node of their anchor; what they would expand to is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from nestgraph.errors import Diagnostic, Span
from nestgraph.findings import Findings
from nestgraph.recovery.fixes import AS_IT_IS, Cures, Put
from nestgraph.text.tree import BROKEN, Entry, Items, Scalar, Table, Tree, Value

MAX_DEPTH = 64
TOO_DEEP, SHALLOWER = f"more than {MAX_DEPTH} levels of nesting", "close some brackets"
MAX_NODES = 50_000
MAX_DIGITS = 300

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_DIRECTIVE = "delete the line that begins with `%`; specs need none"
_ESCAPE = "write a backslash as two, or quote by `'`, which knows none"
_CURES = (
    ("incompatible YAML document", "specs are YAML 1.2: delete the line that begins with `%`"),
    ("directive", _DIRECTIVE),
    ("tag handle", "tags are not part of the language; leave it out"),
    ("escape character", _ESCAPE),
    ("hexdecimal number", _ESCAPE),
    ("alphabetic or numeric", "quote text that begins with `*` or `&`"),
    ("tab character", "indent with spaces, not tabs"),
    ("cannot start any token", "indent with spaces, not tabs, and quote text with symbols"),
    ("mapping values are not allowed", "quote the text, or check the indentation"),
    ("expected ',' or", "close the bracket, or separate the items by commas"),
    ("did not find expected key", "check the indentation of this line"),
    ("block end", "check the indentation of this line"),
    ("could not find expected ':'", "write `key: value`"),
)


def resolve(text: str) -> Value:
    """Return the value of an unquoted scalar after the core schema of YAML 1.2."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if len(text) > MAX_DIGITS:
        return text
    if _INTEGER.match(text):
        return int(text)
    if _BASED.match(text):
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


def parse(text: str, file: str, findings: Findings) -> Tree | None:
    """Read one YAML document.

    Args:
        text: the document.
        file: its name in messages.
        findings: receives every problem; the tree leaves out what could not be read.

    Returns:
        The tree, or None when the text is no YAML document at all.
    """
    builder = _Builder(file, findings)
    try:
        return builder.build(yaml.parse(text.removeprefix("\ufeff"), Loader=LOADER))
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in (error.problem or ""):  # the C scanner runs ahead, with a limit too
            findings.add("NG110", TOO_DEEP, _mark_span(error, text, file), SHALLOWER)
            return None
        findings.add("NG101", _sentence(error), _mark_span(error, text, file), _cure(error))
    except UnicodeEncodeError as error:  # texts from elsewhere; files are decoded strictly
        span = position_span(text, file, error.start)
        half = ascii(text[error.start])[1:-1]
        findings.add("NG101", f"`{half}` is half a character, or a byte that is no UTF-8", span)
    except yaml.reader.ReaderError as error:
        span = position_span(text, file, error.position)
        found = f"character {error.character:#x}" if isinstance(error.character, int) else "byte"
        findings.add(
            "NG101", f"the file holds a {found} that YAML does not allow", span, "delete it"
        )
    return None


def position_span(text: str, file: str, position: int) -> Span:
    """Return the place of the character at an offset."""
    before = text[:position]
    line = before.count("\n") + 1
    return Span(file=file, line=line, column=position - (before.rfind("\n") + 1) + 1)


class _Stop(Exception):
    """A bound was passed; its finding has been noted."""


@dataclass(slots=True)
class _Frame:
    """A collection that is still open."""

    span: Span
    anchor: str | None
    table: bool
    items: list[Tree] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: tuple[str, Span] | None = None
    skip: bool = False  # the value of a key that could not be used
    twice: Diagnostic | None = None  # the finding of a key that was there already
    size: int = 1
    height: int = 1


class _Builder:
    """Turns the event stream of the YAML parser into a tree."""

    def __init__(self, file: str, findings: Findings) -> None:
        self.file = file
        self.findings = findings
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Tree, int, int]] = {}  # node, size, height
        self.root: Tree | None = None

    def build(self, events: Iterable[Any]) -> Tree | None:
        """Consume all events and return the document."""
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(
                        "NG101", "a second document begins here", event, "one file, one spec"
                    )
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
        return self.root

    def _node(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
            return
        if event.tag is not None:
            message = f"tag `{event.tag}` is not part of the language"
            span = self._span(event)
            self.findings.add("NG101", message, span, "leave it out", cures=AS_IT_IS)
        if isinstance(event, yaml.ScalarEvent):
            self._done(self._scalar(event), event.anchor, 1, 1)
            return
        if len(self.stack) >= MAX_DEPTH:
            self._too_deep(event)
        table = isinstance(event, yaml.MappingStartEvent)
        self.stack.append(_Frame(self._span(event), event.anchor, table))

    def _scalar(self, event: Any) -> Scalar:
        span = self._span(event)
        quoted = bool(event.style)  # the C parser says "" for plain
        value = event.value if quoted else resolve(event.value)
        return Scalar(value, span, event.value, quoted)

    def _alias(self, event: Any) -> None:
        if any(frame.anchor == event.anchor for frame in self.stack):
            self._stop("NG110", f"`*{event.anchor}` contains itself", event, "name another")
        if event.anchor not in self.anchors:
            self._stop("NG101", f"no anchor is called `&{event.anchor}`", event, "use `like`")
        node, size, height = self.anchors[event.anchor]
        if len(self.stack) + height > MAX_DEPTH:
            self._too_deep(event)
        self._done(node, None, size, height, alias=self._span(event))

    def _close(self) -> None:
        frame = self.stack.pop()
        node: Tree
        if frame.table:
            node = Table(frame.entries, frame.span)
        else:
            node = Items(tuple(frame.items), frame.span)
        self._done(node, frame.anchor, frame.size, frame.height)

    def _done(
        self, node: Tree, anchor: str | None, size: int, height: int, alias: Span | None = None
    ) -> None:
        if anchor is not None:
            self.anchors[anchor] = (node, size, height)
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if frame.size > MAX_NODES:
            message = f"the file holds more than {MAX_NODES:,} values"
            hint = "aliases count as often as they are used"
            self.findings.add("NG110", message, alias or node.span, hint)
            raise _Stop
        if not frame.table:
            frame.items.append(node)
        elif frame.key is None and not frame.skip:
            self._key(frame, node, alias)
        else:
            self._value(frame, node)

    def _key(self, frame: _Frame, node: Tree, alias: Span | None) -> None:
        problem = _key_problem(node, alias)
        if problem is not None:
            merges = isinstance(node, Scalar) and node.value == "<<"
            known = alias is None and isinstance(node, Scalar) and not merges
            place, cures = alias or node.span, AS_IT_IS if known else None
            self.findings.add("NG111", problem[0], place, problem[1], cures=cures)
            frame.skip = True
            return
        name = str(node.value) if isinstance(node, Scalar) else ""
        if name in frame.entries:
            first = frame.entries[name].key
            self.findings.add(
                "NG102", f"key `{name}` comes twice", node.span, f"first on line {first.line}"
            )
            frame.twice = self.findings[-1]
        frame.key = (name, node.span)

    def _value(self, frame: _Frame, node: Tree) -> None:
        if frame.key is not None:
            name, span = frame.key
            first = frame.entries.setdefault(name, Entry(span, node)).value
            if frame.twice is not None:  # either of both values may be the right one
                self.findings.cures[frame.twice] = Cures(((), (Put(first.span, node),)))
        frame.key, frame.skip, frame.twice = None, False, None

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        one_line = start.line == end.line and end.column > start.column
        return Span(
            file=self.file,
            line=start.line + 1,
            column=start.column + 1,
            end_column=end.column + 1 if one_line else None,
        )

    def _too_deep(self, event: Any) -> None:
        self._stop("NG110", TOO_DEEP, event, SHALLOWER)

    def _stop(self, code: str, message: str, event: Any, hint: str = "") -> None:
        self.findings.add(code, message, self._span(event), hint)
        raise _Stop


def _key_problem(node: Tree, alias: Span | None) -> tuple[str, str] | None:
    if alias is not None or not isinstance(node, Scalar):
        return "a key must be a name", "lists, mappings and aliases can't be keys"
    if node.value is BROKEN or not isinstance(node.value, str):
        shown = node.text or "nothing"
        return f"key `{shown}` is not a name", "keys are text; quote it if you mean text"
    if node.value == "<<":
        return "merge keys `<<` are not part of the language", "use `like` or `extends`"
    return None


def _sentence(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    if error.context and error.context_mark is not None:
        return f"{problem} {error.context} that begins on line {error.context_mark.line + 1}"
    return problem


def _cure(error: yaml.MarkedYAMLError) -> str:
    told = f"{error.problem} {error.context}"
    return next((cure for part, cure in _CURES if part in told), "check brackets and quotes")


def _mark_span(error: yaml.MarkedYAMLError, text: str, file: str) -> Span:
    """Return the problem's place; that of the open bracket if the text ends too early."""
    mark = error.problem_mark or error.context_mark
    if mark is not None and mark.line >= len(text.splitlines()):
        mark = error.context_mark or mark
    if mark is None:
        return Span(file=file, line=1, column=1)
    return Span(file=file, line=mark.line + 1, column=mark.column + 1)
