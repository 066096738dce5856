"""Checks a tree against the schema, and says what is wrong where, in the author's words.

Pydantic finds the problems; here they become findings. A mistyped key, which pydantic reports as
one unknown and one missing key, is one finding. What is unusable is left out, or read as it was
meant, and the rest is checked again, so that its names can be checked in the same run.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from nestgraph.errors import Span
from nestgraph.findings import Findings, closest, did_you_mean, listed
from nestgraph.schema.follow import Trail, follow, known_keys
from nestgraph.schema.wording import Error, expectation, stand_in, words
from nestgraph.tree import BROKEN, Entry, Scalar, Table, Tree, at, plain, shown

Path = tuple[str | int, ...]


@cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """The validator of an annotation, built once."""
    return TypeAdapter(annotation)


def mended(table: Table, known: Iterable[str], where: str, findings: Findings) -> Table:
    """The table with mistyped keys, each reported, read as the keys they were meant to be.

    For tables whose keys decide how the rest is read: a mistyped `vars` would else make every
    var unknown.
    """
    entries: dict[str, Entry] = {}
    absent = [key for key in known if key not in table]
    for key, entry in table.entries.items():
        meant = None if key in known else closest(key, absent)
        if meant is None:
            entries[key] = entry
            continue
        absent.remove(meant)
        entries[meant] = entry
        message = f"unknown key `{key}` in {where}"
        findings.add("NG103", message, entry.key, f"did you mean `{meant}`?")
    return Table(entries, table.span)


def mended_each(tables: Table, known: Iterable[str], kind: str, findings: Findings) -> Table:
    """A table of named tables, each of them mended."""
    keys, entries = tuple(known), dict(tables.entries)
    for name, entry in tables.entries.items():
        if isinstance(entry.value, Table):
            value = mended(entry.value, keys, f"{kind} `{name}`", findings)
            entries[name] = Entry(entry.key, value)
    return Table(entries, tables.span)


def validate(kind: Any, tree: Tree, where: str, findings: Findings) -> Any:
    """Check a tree against an annotation of the schema.

    Args:
        kind: a model of the schema, or a union of them.
        tree: what the author wrote, vars already replaced.
        where: what the tree is, for messages ("memory `M`").
        findings: receives every problem.

    Returns:
        The model; one with the unusable parts left out if there are findings, and None when
        even that can't be built.
    """
    data = plain(tree)
    try:
        return adapter(kind).validate_python(data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    reporter = _Reporter(tree, where, findings)
    reporter.report([(cast("Error", error), follow(kind, error["loc"])) for error in errors])
    try:
        return adapter(kind).validate_python(reporter.repaired(data))
    except ValidationError:
        return None


class _Reporter:
    """Turns the errors of one value into findings."""

    def __init__(self, tree: Tree, where: str, findings: Findings) -> None:
        self.tree = tree
        self.where = where
        self.findings = findings
        self.missing: dict[Path, list[str]] = {}
        self.bad: dict[Path, object] = {}  # what stands in for it; None to leave it out
        self.meant: dict[Path, str] = {}  # mistyped keys

    def report(self, errors: list[tuple[Error, Trail]]) -> None:
        """Note all errors, each mistyped key once."""
        for error, trail in errors:
            if error["type"] == "missing":
                self.missing.setdefault(trail.path[:-1], []).append(str(trail.path[-1]))
        for error, trail in errors:
            match error["type"]:
                case "missing":
                    pass
                case "extra_forbidden":
                    self._unknown(trail)
                case "union_tag_invalid":
                    self._unknown_kind(error, trail)
                case "union_tag_not_found":
                    self._kindless(trail)
                case "form":
                    self._formless(error, trail)
                case _:
                    self._wrong(error, trail)
        for path, keys in self.missing.items():
            for key in keys:
                message = f"{self._name(path)} needs `{key}`"
                self.findings.add("NG106", message, self._start(path), f"add `{key}: ...`")

    def repaired(self, data: object) -> object:
        """The data without what was reported, or with something usable in its place."""
        for path in sorted(self.bad, key=len, reverse=True):
            holder: Any = data
            for part in path[:-1]:
                holder = holder[part]
            if path in self.meant:
                holder.setdefault(self.meant[path], holder.get(path[-1]))
            if path and self.bad[path] is not None:
                holder[path[-1]] = self.bad[path]
            elif path and isinstance(holder, dict):
                holder.pop(path[-1], None)
        return data

    def _unknown(self, trail: Trail) -> None:
        """An unknown key, together with the missing one in whose place it stands."""
        path, key = trail.path[:-1], str(trail.path[-1])
        holder, _ = at(self.tree, path)
        missing = self.missing.get(path, [])
        given = holder.entries if isinstance(holder, Table) else {}
        span = given[key].key if key in given else holder.span
        beside = {word for word, entry in given.items() if entry.key.file == span.file}
        free = [word for word in known_keys(trail.model) if word not in beside]  # a base's are, too
        meant = closest(key, missing) or closest(key, free)
        near = meant or closest(key, known_keys(trail.model))  # given too, perhaps by `like`
        hint = f"did you mean `{near}`?" if near else did_you_mean(key, free)
        if near is None and len(missing) == 1:
            hint = f"`{missing[0]}` is missing there"
            missing.clear()
        if meant in missing:
            missing.remove(meant)
        self.bad[trail.path] = None
        if meant is not None:
            self.meant[trail.path] = meant
        self.findings.add("NG103", f"unknown key `{key}` in {self._name(path)}", span, hint)

    def _wrong(self, error: Error, trail: Trail) -> None:
        value = self._value(trail)
        self.bad[trail.path] = stand_in(error)
        if value is None:
            return
        name = self._name(at(self.tree, trail.path)[1])
        number = value.value if isinstance(value, Scalar) else None
        if error["type"] == "int_type" and isinstance(number, float) and isinstance(value, Scalar):
            hint = "write `//`" if "/" in value.text else "write a whole number"
            message = f"{name} is {shown(value)} but must be whole"
            self.findings.add("NG105", message, value.span, hint)
            return
        wanted, hint = expectation(error, trail, value)
        self.findings.wrong(name, value, wanted, hint)

    def _unknown_kind(self, error: Error, trail: Trail) -> None:
        """A mapping with a `kind` that there is not."""
        value = self._value(trail)
        given = value.get("kind") if isinstance(value, Table) else None
        if given is None or (isinstance(given, Scalar) and given.value is BROKEN):
            return
        known = [word for word in words(error["ctx"]["expected_tags"]) if word != "word"]
        hint = did_you_mean(str(plain(given)), known)
        what = f"`kind` of {self._name(trail.path)}"
        self.findings.wrong(what, given, listed(known, "or"), hint if "mean" in hint else "")

    def _formless(self, error: Error, trail: Trail) -> None:
        """A mapping that has none of the keys by which it would be told."""
        value = self._value(trail)
        if value is None:
            return
        name = self._name(trail.path)
        if isinstance(value, Table):
            message = f"{name} does not say what it is"
            self.findings.add("NG106", message, self._start(trail.path), str(error["msg"]))
            return
        self.findings.wrong(name, value, "a mapping")

    def _kindless(self, trail: Trail) -> None:
        """A value that is neither a word nor a mapping with a `kind`."""
        value = self._value(trail)
        if value is None:
            return
        name = self._name(trail.path)
        if not isinstance(value, Table):
            self.findings.wrong(name, value, "a word or a mapping")
            return
        given = value.get("kind")
        if given is not None:
            self.findings.wrong(f"`kind` of {name}", given, "a word")
            return
        mistyped = next((key for key in value if closest(key, ["kind"])), None)
        if mistyped is None:
            message = f"{name} needs `kind`"
            self.findings.add("NG106", message, self._start(trail.path), "add `kind: ...`")
            return
        span = value.entries[mistyped].key
        message = f"unknown key `{mistyped}` in {name}"
        self.findings.add("NG103", message, span, "did you mean `kind`?")

    def _value(self, trail: Trail) -> Tree | None:
        """The value that an error is about, to be left out; None if it has its finding."""
        self.bad[trail.path] = None
        value, _ = at(self.tree, trail.path)
        return None if isinstance(value, Scalar) and value.value is BROKEN else value

    def _start(self, path: Path) -> Span:
        """The place of a mapping: its key, else the value itself."""
        holder, found = at(self.tree, path[:-1])
        if path and isinstance(holder, Table) and len(found) == len(path) - 1:
            entry = holder.entries.get(str(path[-1]))
            return entry.key if entry else holder.span
        return at(self.tree, path)[0].span

    def _name(self, path: Path) -> str:
        """`rule.rate` of memory `M`, or the thing itself."""
        if not path:
            return self.where
        dotted = ".".join(str(part) for part in path)
        return f"`{dotted}` of {self.where}"
