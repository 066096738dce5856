"""The tree of a YAML text: scalars, lists and tables, each with its place.

Trees are immutable and shared (an alias is the very node of its anchor), so composing and
substituting build new trees and leave the spans alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from nestgraph.errors import Span


class Broken:
    """Value of a scalar that already has its own finding; nothing more is said about it."""

    def __repr__(self) -> str:
        return "?"


BROKEN = Broken()
Value: TypeAlias = str | int | float | bool | Broken | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """One word or number. `text` is what the author wrote, before any arithmetic.

    `origin` is where a word was written that came here by the name of a var.
    """

    value: Value
    span: Span
    text: str = ""
    quoted: bool = False
    origin: Span | None = None

    @property
    def written(self) -> Span:
        """Return where the author wrote the word itself."""
        return self.origin or self.span


@dataclass(frozen=True, slots=True)
class Items:
    """A YAML list."""

    items: tuple[Tree, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a table: where the key stands, and what it holds."""

    key: Span
    value: Tree


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; keys are always text."""

    entries: Mapping[str, Entry]
    span: Span

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def get(self, key: str) -> Tree | None:
        """Return the value under `key`, if there is one."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def without(self, *keys: str) -> Table:
        """Return the same table less some keys."""
        kept = {key: entry for key, entry in self.entries.items() if key not in keys}
        return Table(kept, self.span)


Tree: TypeAlias = Scalar | Items | Table


def plain(tree: Tree) -> object:
    """Return the tree as Python values, whole floats as integers (`1e3` steps are 1000 steps)."""
    if isinstance(tree, Table):
        return {key: plain(entry.value) for key, entry in tree.entries.items()}
    if isinstance(tree, Items):
        return [plain(item) for item in tree.items]
    if isinstance(tree.value, float) and tree.value.is_integer() and abs(tree.value) < 2**53:
        return int(tree.value)
    return tree.value


def at(tree: Tree, path: tuple[str | int, ...]) -> tuple[Tree, tuple[str | int, ...]]:
    """Return the deepest node on `path`, and the part of the path that led there.

    Parts that the tree doesn't have (tags of unions) are skipped.
    """
    found: list[str | int] = []
    for part in path:
        below = child(tree, part)
        if below is not None:
            tree = below
            found.append(part)
    return tree, tuple(found)


def child(tree: Tree, part: str | int) -> Tree | None:
    """Return one step down, or None."""
    if isinstance(tree, Table):
        return tree.get(part) if isinstance(part, str) else None
    if isinstance(tree, Items) and isinstance(part, int) and part < len(tree.items):
        return tree.items[part]
    return None


def shown(tree: Tree | None) -> str:
    """Return a value in a message: the author's words, a number, or what kind of thing it is."""
    if isinstance(tree, Table):
        return "a mapping"
    if isinstance(tree, Items):
        return "a list"
    if tree is None or tree.value is None:
        return "empty"
    if isinstance(tree.value, bool):
        return "true" if tree.value else "false"
    if isinstance(tree.value, float):
        return f"{tree.value:.6g}"
    text = str(tree.value)
    return f"`{text}`" if isinstance(tree.value, str) else text
