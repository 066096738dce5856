"""Checks a tree against the schema, and says what is wrong where, in the author's words.

Pydantic finds the problems; here they become findings. A mistyped key, which pydantic reports as
one unknown and one missing key, is one finding. What is unusable is left out, or read as it was
meant, and the rest is checked again, so that its names can be checked in the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from nestgraph.errors import Span
from nestgraph.findings import Findings, closest, did_you_mean, listed, respelt
from nestgraph.recovery.fixes import NONE, Add, Cures, Drop, Put, Rename, as_meant, either
from nestgraph.recovery.habits import otherwise
from nestgraph.schema.adapters import adapter
from nestgraph.schema.elsewhere import elsewhere
from nestgraph.schema.follow import Trail, bounded, follow, known_keys
from nestgraph.schema.ranges import in_range
from nestgraph.schema.samples import allowed, samples
from nestgraph.schema.wording import Error, expectation, stand_in, whole, words
from nestgraph.text.tree import BROKEN, Entry, Items, Scalar, Table, Tree, at, plain, shown

Path = tuple[str | int, ...]

NUMBERS = ("int_type", "float_type", "shape")
"""Errors of fields for numbers, where a word may be the name of a var."""


def mended(table: Table, known: Iterable[str], where: str, findings: Findings) -> Table:
    """Return the table with mistyped keys, each reported, read as the keys they were meant to be.

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
        hint, cures = f"did you mean `{meant}`?", as_meant(Rename(entry.key, meant), key, meant)
        findings.add("NG103", message, entry.key, hint, cures=cures)
    return Table(entries, table.span)


def mended_each(tables: Table, known: Iterable[str], kind: str, findings: Findings) -> Table:
    """Return a table of named tables, each of them mended."""
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
    tree = in_range(tree, where, findings)
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
        self.missing: dict[Path, dict[str, Trail]] = {}
        self.bad: dict[Path, object] = {}  # what stands in for it; None to leave it out
        self.meant: dict[Path, str] = {}  # mistyped keys
        self.beside: dict[tuple[Path, str], frozenset[str]] = {}  # keys of a mapping in one file

    def report(self, errors: list[tuple[Error, Trail]]) -> None:
        """Note all errors, each mistyped key once."""
        for error, trail in errors:
            if error["type"] == "missing":
                self.missing.setdefault(trail.path[:-1], {})[str(trail.path[-1])] = trail
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
            for key, trail in keys.items():
                holder = at(self.tree, path)[0].span
                cures = either(Add(holder, key, one) for one in samples(trail.annotation, key))
                message, hint = f"{self._name(path)} needs `{key}`", f"add `{key}: ...`"
                self.findings.add("NG106", message, self._start(path), hint, cures=cures)

    def repaired(self, data: object) -> object:
        """Return the data without what was reported, or with something usable in its place."""
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
        """Report an unknown key, together with the missing one in whose place it stands."""
        path, key = trail.path[:-1], str(trail.path[-1])
        holder, _ = at(self.tree, path)
        missing = self.missing.get(path, {})
        given = holder.entries if isinstance(holder, Table) else {}
        span = given[key].key if key in given else holder.span
        beside = self._beside(path, given, span.file)
        free = [word for word in known_keys(trail.model) if word not in beside]  # a base's are, too
        meant = closest(key, missing) or closest(key, free)
        near = meant or closest(key, known_keys(trail.model))  # given too, perhaps by `like`
        hint = f"did you mean `{near}`?" if near else self._not_here(key, trail, free)
        if near is None and len(missing) == 1:
            free = list(missing)
            hint = otherwise(key) or f"`{free[0]}` is missing there"
            missing.clear()
        missing.pop(meant or "", None)
        self.bad[trail.path] = None
        cures = _other_keys(trail, free, given.get(key)) if self.findings.helps else NONE
        if meant is not None:
            self.meant[trail.path] = meant
            cures = as_meant(Rename(span, meant), key, meant, cures)
        message = f"unknown key `{key}` in {self._name(path)}"
        self.findings.add("NG103", message, span, hint, cures=cures)

    def _beside(self, path: Path, given: Mapping[str, Entry], file: str) -> frozenset[str]:
        """Return the keys of a mapping that one file says."""
        if (path, file) not in self.beside:
            words = (word for word, entry in given.items() if entry.key.file == file)
            self.beside[path, file] = frozenset(words)
        return self.beside[path, file]

    def _not_here(self, key: str, trail: Trail, free: list[str]) -> str:
        """Return what to do about a key that resembles none: say otherwise, elsewhere, or
        another.
        """
        said = otherwise(key) or elsewhere(key, trail.model)
        return said or did_you_mean(key, free, limit=len(free)) or "delete it"

    def _wrong(self, error: Error, trail: Trail) -> None:
        value = self._value(trail)
        self.bad[trail.path] = stand_in(error)
        if value is None:
            return
        name = self._name(at(self.tree, trail.path)[1])
        number = value.value if isinstance(value, Scalar) else None
        if error["type"] == "int_type" and isinstance(number, float) and isinstance(value, Scalar):
            hint = whole(number, value.text, trail.annotation)
            message = f"{name} is {shown(value)} but must be whole"
            cures = _other_values(trail, value)
            self.findings.add("NG105", message, value.span, hint, cures=cures)
            return
        wanted, hint = expectation(error, trail, value)
        cures = _other_values(trail, value)
        word = value.value if isinstance(value, Scalar) else None
        if error["type"] in NUMBERS and isinstance(word, str):
            var = closest(word, self.findings.vars)
            hint = f"did you mean `${var}`?" if var else hint
        if error["type"] == "list_type" and not isinstance(value, Items):
            cures = Cures(((Put(value.span, Items((value,), value.span)),), *cures.choices))
        if error["type"] == "literal_error":
            known = words(error["ctx"]["expected"])
            cures = respelt(value.span, str(plain(value)), known, cures)
        self.findings.wrong(name, value, wanted, hint, cures)

    def _unknown_kind(self, error: Error, trail: Trail) -> None:
        """Report a mapping with a `kind` that there is not."""
        value = self._value(trail)
        given = value.get("kind") if isinstance(value, Table) else None
        if value is None or given is None or (isinstance(given, Scalar) and given.value is BROKEN):
            return
        known = [word for word in words(error["ctx"]["expected_tags"]) if word != "word"]
        word, what = str(plain(given)), f"`kind` of {self._name(trail.path)}"
        near = closest(word, known)
        hint = f"did you mean `{near}`?" if near else otherwise(word)
        cures = respelt(given.span, word, known, _other_values(trail, value))
        self.findings.wrong(what, given, listed(known, "or"), hint, cures)

    def _formless(self, error: Error, trail: Trail) -> None:
        """Report a mapping that has none of the keys by which it would be told."""
        value = self._value(trail)
        if value is None:
            return
        name = self._name(trail.path)
        if isinstance(value, Table):
            message = f"{name} does not say what it is"
            start, cures = self._start(trail.path), _other_values(trail, value)
            self.findings.add("NG106", message, start, str(error["msg"]), cures=cures)
            return
        self.findings.wrong(name, value, "a mapping", cures=_other_values(trail, value))

    def _kindless(self, trail: Trail) -> None:
        """Report a value that is neither a word nor a mapping with a `kind`."""
        value = self._value(trail)
        if value is None:
            return
        name, cures = self._name(trail.path), _other_values(trail, value)
        if not isinstance(value, Table):
            self.findings.wrong(name, value, "a word or a mapping", cures=cures)
            return
        given = value.get("kind")
        if given is not None:
            self.findings.wrong(f"`kind` of {name}", given, "a word", cures=cures)
            return
        mistyped = next((key for key in value if closest(key, ["kind"])), None)
        if mistyped is None:
            message = f"{name} needs `kind`"
            start = self._start(trail.path)
            self.findings.add("NG106", message, start, "add `kind: ...`", cures=cures)
            return
        span = value.entries[mistyped].key
        message = f"unknown key `{mistyped}` in {name}"
        cures = as_meant(Rename(span, "kind"), mistyped, "kind", cures)
        self.findings.add("NG103", message, span, "did you mean `kind`?", cures=cures)

    def _value(self, trail: Trail) -> Tree | None:
        """Return the value that an error is about, to be left out; None if it has its finding."""
        self.bad[trail.path] = None
        value, _ = at(self.tree, trail.path)
        return None if isinstance(value, Scalar) and value.value is BROKEN else value

    def _start(self, path: Path) -> Span:
        """Return the place of a mapping: its key, else the value itself."""
        holder, found = at(self.tree, path[:-1])
        if path and isinstance(holder, Table) and len(found) == len(path) - 1:
            entry = holder.entries.get(str(path[-1]))
            return entry.key if entry else holder.span
        return at(self.tree, path)[0].span

    def _name(self, path: Path) -> str:
        """Return `rule.rate` of memory `M`, or the thing itself."""
        if not path:
            return self.where
        dotted = ".".join(str(part) for part in path)
        return f"`{dotted}` of {self.where}"


def _other_values(trail: Trail, value: Tree) -> Cures:
    """Return what may have been meant in place of a value: others, or nothing."""
    field = next((part for part in reversed(trail.path) if isinstance(part, str)), "")
    found = samples(trail.annotation, field)
    given = plain(value)
    kind = given.get("kind") if isinstance(given, dict) else given
    like = [one for one in found if isinstance(one, dict) and one.get("kind") == kind]
    changes = [Put(value.span, one) for one in like or found]
    return either([*changes, *([Drop(value.span)] if _may_lack(trail) else [])])


def _may_lack(trail: Trail) -> bool:
    """Return whether the holder of a value may do without it."""
    fields = trail.model.model_fields.items() if trail.model and trail.path else ()
    needed = {field.alias or name for name, field in fields if field.is_required()}
    return bool(trail.path) and trail.path[-1] not in needed


def _other_keys(trail: Trail, free: Iterable[str], entry: Entry | None) -> Cures:
    """Return what may have been meant by a key that resembles none: any that is not there yet."""
    if entry is None or trail.model is None:
        return either(())
    choices: list[tuple[Put | Rename | Drop, ...]] = [(Drop(entry.key),)]
    for name, field in trail.model.model_fields.items():
        key = field.alias or name
        if key not in free:
            continue
        rename, annotation = Rename(entry.key, key), bounded(field)
        if allowed(annotation, plain(entry.value)):
            choices.append((rename,))
            continue
        others = samples(annotation, key)[:2]
        choices += [(rename, Put(entry.value.span, one)) for one in others]
    return Cures(tuple(choices))
