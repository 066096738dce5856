"""Ways to put a mistake right: changes of a tree, tied to the places that a finding points at.

Whoever reports a mistake knows best what may have been meant in its place. The changes are never
made to a spec; `nestgraph.recovery.error_recovery` makes them to see what else is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from nestgraph.errors import Span
from nestgraph.text.tree import Entry, Items, Scalar, Table, Tree


@dataclass(frozen=True, slots=True)
class Known:
    """Stands for a name that exists where it is put: the `index`-th of its kind, from 0."""

    kind: Literal["flow", "memory", "level", "block"]
    index: int


@dataclass(frozen=True, slots=True)
class Put:
    """Another value in place of the value at a span; a plain one, or a tree."""

    at: Span
    value: object


@dataclass(frozen=True, slots=True)
class Rename:
    """Another name for the key at a span; `throughout`, also wherever that name is a value."""

    at: Span
    name: str
    throughout: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing in place of the entry or item whose key or value is at a span."""

    at: Span


@dataclass(frozen=True, slots=True)
class Add:
    """One more key of the table at a span."""

    at: Span
    key: str
    value: object


@dataclass(frozen=True, slots=True)
class Define:
    """Something that is named and not there: one more key of a table, found by its path."""

    at: Span
    path: tuple[str, ...]
    name: str
    value: object


Change: TypeAlias = Put | Rename | Drop | Add | Define
Cure: TypeAlias = tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Cures:
    """All that may put one mistake right.

    Attributes:
        choices: the cures, the likeliest first.
        meant: whether it is plain that the author meant the first.
    """

    choices: tuple[Cure, ...]
    meant: bool = False


PLAIN = 0.74  # how like a word must be: of four letters, one may be another
SHORT = 4  # letters of a word that a slip leaves recognisable
NONE = Cures(())
AS_IT_IS = Cures(((),))
"""What was wrong has been left out already, and nothing has to take its place."""


def as_meant(change: Change, word: str, meant: str, others: Cures = NONE) -> Cures:
    """Return a mistyped word read as the one that it resembles, plainly or not so plainly."""
    near = SequenceMatcher(None, word.lower(), meant.lower()).ratio()
    return Cures(((change,), *others.choices), meant=near >= PLAIN)


def as_named(change: Change, name: str, meant: str, others: Cures) -> Cures:
    """Return an unknown name read as the one that it resembles, if a slip of the hand explains it.

    Names are made up: `k_2` is more likely missing than meant to be `k_1`.
    """
    return Cures(((change,), *others.choices), meant=_is_slip(name, meant))


def _is_slip(name: str, meant: str) -> bool:
    parts, others = name.split("_"), meant.split("_")
    if len(parts) != len(others):
        return False
    pairs = [(a, b) for a, b in zip(parts, others, strict=True) if a != b]
    return all(len(b) >= SHORT and _is_slip_of_word(a, b) for a, b in pairs)


def _is_slip_of_word(word: str, meant: str) -> bool:
    swapped = sorted(word) == sorted(meant)
    inside = word[:1] == meant[:1] and word[-1:] == meant[-1:]
    return swapped or (inside and not re.search(r"\d", word + meant))


def either(changes: Iterable[Change]) -> Cures:
    """Return cures of one change each, any of which may be the right one."""
    return Cures(tuple((change,) for change in changes))


def cured(tree: Table, cures: Iterable[Cure]) -> Table:
    """Return a spec's tree with the changes of some cures made."""
    changes = [change for cure in cures for change in cure]
    if not changes:
        return tree
    for change in changes:
        if isinstance(change, Define):
            tree = _defined(tree, change, change.path)
    found = _Surgeon(tree, changes).tree(tree, _names(tree))
    return found if isinstance(found, Table) else tree


def _defined(table: Table, what: Define, path: tuple[str, ...]) -> Table:
    """Return the table with one more key, some tables further down."""
    name = path[0] if path else what.name
    entry = table.entries.get(name)
    if not path and entry is not None:
        return table
    value = _planted(what.value, what.at, {})
    if path:
        below = entry.value if entry and isinstance(entry.value, Table) else Table({}, what.at)
        value = _defined(below, what, path[1:])
    return Table({**table.entries, name: Entry(entry.key if entry else what.at, value)}, table.span)


_Names: TypeAlias = Mapping[str, tuple[str, ...]]


def _keys(tree: Tree | None) -> tuple[str, ...]:
    return tuple(tree) if isinstance(tree, Table) else ()


def _names(tree: Table) -> _Names:
    """Return the names that a whole file knows."""
    levels = ("token", "step", *_keys(tree.get("levels")))
    return {"level": levels, "block": _keys(tree.get("blocks"))}


class _Surgeon:
    """Walks a tree once and makes every change on the way."""

    def __init__(self, root: Table, changes: Iterable[Change]) -> None:
        self.blocks = root.get("blocks")
        self.values: dict[Span, object] = {}
        self.keys: dict[Span, str] = {}
        self.dropped: set[Span] = set()
        self.added: dict[Span, list[Add]] = {}
        self.respelt: dict[str, str] = {}
        throughout: set[Span] = set()
        for change in changes:
            if isinstance(change, Put):
                self.values[change.at] = change.value
            elif isinstance(change, Drop):
                self.dropped.add(change.at)
            elif isinstance(change, Add):
                self.added.setdefault(change.at, []).append(change)
            elif isinstance(change, Rename):
                self.keys[change.at] = change.name
                if change.throughout:
                    throughout.add(change.at)
        if throughout:
            self._respell(root, throughout)

    def _respell(self, tree: Tree, keys: set[Span]) -> None:
        """Note what the keys at some places are called, and are to be called everywhere."""
        if isinstance(tree, Items):
            for item in tree.items:
                self._respell(item, keys)
        elif isinstance(tree, Table):
            for name, entry in tree.entries.items():
                if entry.key in keys:
                    self.respelt[name] = self.keys[entry.key]
                self._respell(entry.value, keys)

    def tree(self, tree: Tree, names: _Names) -> Tree:
        """Return the tree after the changes."""
        if tree.span in self.values:
            return _planted(self.values[tree.span], tree.span, names)
        if isinstance(tree, Scalar):
            word = self.respelt.get(tree.value) if isinstance(tree.value, str) else None
            return tree if word is None else replace(tree, value=word)
        if isinstance(tree, Items):
            kept = (item for item in tree.items if item.span not in self.dropped)
            return Items(tuple(self.tree(item, names) for item in kept), tree.span)
        return self._table(tree, names)

    def _table(self, table: Table, names: _Names) -> Table:
        entries: dict[str, Entry] = {}
        for key, entry in table.entries.items():
            if entry.key in self.dropped or entry.value.span in self.dropped:
                continue
            below = names
            if table is self.blocks and isinstance(entry.value, Table):
                below = {**names, **_block_names(entry.value)}
            value = self.tree(entry.value, below)
            name = self.keys.get(entry.key, key)
            there = table.entries.get(name)
            if name != key and there is not None and there.key.file == entry.key.file:
                name = key  # the author has said that one too; what a base says is replaced
            if name != key or key not in entries:
                entries[name] = Entry(entry.key, value)
        for add in self.added.get(table.span, ()):
            value = _planted(add.value, table.span, names)
            entries.setdefault(add.key, Entry(table.span, value))
        return Table(entries, table.span)


def _block_names(block: Table) -> _Names:
    inputs = block.get("inputs")
    items = inputs.items if isinstance(inputs, Items) else ()
    words = [item.value for item in items if isinstance(item, Scalar)]
    taken = tuple(word for word in words if isinstance(word, str)) or ("x",)
    return {
        "flow": (*taken, *_keys(block.get("nodes"))),
        "memory": _keys(block.get("memories")),
    }


def _planted(value: object, span: Span, names: _Names) -> Tree:
    """Return a plain value as a tree, all of it at one place; names that must exist are looked
    up.
    """
    if isinstance(value, Scalar | Items | Table):
        return value
    if isinstance(value, dict):
        entries = {key: Entry(span, _planted(below, span, names)) for key, below in value.items()}
        return Table(entries, span)
    if isinstance(value, list | tuple):
        return Items(tuple(_planted(below, span, names) for below in value), span)
    if isinstance(value, Known):
        known = names.get(value.kind) or ("",)
        value = known[value.index % len(known)]
    assert value is None or isinstance(value, str | int | float | bool)
    return Scalar(value, span, str(value))
