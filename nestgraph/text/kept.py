"""Names of files in texts and trees, rewritten to what the files are called in a folder.

A text stays as the author wrote it, down to its comments; only the names of files are others. The
name of a shipped spec stays, since it means the same everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import yaml

from nestgraph.errors import Span
from nestgraph.language import zoo
from nestgraph.text.source import LOADER
from nestgraph.text.tree import Entry, Items, Table, Tree

_PLAIN = re.compile(r"[\w./+-]*[A-Za-z/][\w./+-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What the names of files are called in the folder, by the place where they are written.

    Attributes:
        new: their new names.
        shipped: the places whose names mean shipped specs; a path to one is renamed all the same.
    """

    new: Mapping[Span, str]
    shipped: frozenset[Span] = frozenset()

    def of(self, place: Span, word: object) -> str | None:
        """Return the new name of a word at a place; None where it stays as it is."""
        if place not in self.new or not isinstance(word, str):
            return None
        stays = place in self.shipped and zoo.path(word) is not None
        return None if stays else self.new[place]


NO_NAMES = Names(new={})


def renamed_text(text: str, file: str, names: Names) -> str:
    """Return a text of a file with its names rewritten; everything else is as it was, to the
    character.
    """
    if not any(place.file == file for place in names.new):
        return text
    mark = text[: text.startswith("\ufeff")]
    body = text.removeprefix(mark)
    for start, end, word in reversed(list(_changes(body, file, names))):
        body = body[:start] + word + body[end:]
    return mark + body


def _changes(text: str, file: str, names: Names) -> Iterator[tuple[int, int, str]]:
    """Yield where a name begins and ends in a text, and what is to stand there."""
    places = {(place.line, place.column): place for place in names.new if place.file == file}
    for event in yaml.parse(text, Loader=LOADER):
        if not isinstance(event, yaml.ScalarEvent):
            continue
        start, end = event.start_mark, event.end_mark
        assert start is not None
        assert end is not None
        place = places.get((start.line + 1, start.column + 1))
        name = None if place is None else names.of(place, event.value)
        if name is None:
            continue
        anchor = f"&{event.anchor} " if event.anchor else ""
        ended = "\n" if text[start.index : end.index].endswith("\n") else ""
        yield start.index, end.index, f"{anchor}{_quoted(name)}{ended}"


def renamed_tree(tree: Tree, names: Names) -> Tree:
    """Return a tree with its names rewritten."""
    if isinstance(tree, Table):
        entries = {
            key: Entry(entry.key, renamed_tree(entry.value, names))
            for key, entry in tree.entries.items()
        }
        return Table(entries, tree.span)
    if isinstance(tree, Items):
        return Items(tuple(renamed_tree(item, names) for item in tree.items), tree.span)
    name = names.of(tree.span, tree.value)
    return tree if name is None else replace(tree, value=name, text=name)


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
