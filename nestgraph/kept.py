"""The texts of a spec as one folder keeps them, where every name of a file means what lies there.

A text stays as the author wrote it, down to its comments; only the names of files are others. The
name of a shipped spec stays, since it means the same everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from nestgraph import zoo
from nestgraph.data.shipped import shipped_names
from nestgraph.errors import Span
from nestgraph.settings import label, seen_from, text_of
from nestgraph.source import LOADER
from nestgraph.tree import Entry, Items, Table, Tree

if TYPE_CHECKING:
    from nestgraph.spec import Spec

SPEC = "spec.yaml"
RESOLVED = "resolved.yaml"
OVERRIDES = "overrides.json"
DATA = "training.data"
LONGEST = 200  # bytes of a file's own name that are kept
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


def kept_texts(spec: Spec, others: Mapping[Span, str]) -> dict[str, str]:
    """Return the texts of a spec, what was set from outside, and its resolved form, by their names.

    Args:
        spec: whose texts they are.
        others: new names of files that are no specs, by the places that name them.
    """
    bases = [file for file in spec.sources if file != spec.path]
    numbered = {file: f"base-{k}-{_short(file)}" for k, file in enumerate(bases, start=1)}
    kept = {spec.path: SPEC, **numbered}
    names = Names(
        new={**{place: kept[file] for place, file in spec.names.items() if file in kept}, **others},
        shipped=frozenset(place for place, file in spec.names.items() if file in spec.shipped),
    )
    texts = {kept[file]: renamed_text(spec.sources[file], file, names) for file in kept}
    overrides = {path: _set(path, value, names) for path, value in spec.overrides.items()}
    kept_overrides = json.dumps(overrides, indent=1, ensure_ascii=False, default=str) + "\n"
    return {**texts, OVERRIDES: kept_overrides, RESOLVED: spec.resolved_yaml(names)}


def _set(path: str, value: object, names: Names) -> object:
    """Return the value of an override, with names of files as they are called in the folder."""
    text = text_of(value)
    padded = " " * (len(path) + 1) + text  # as it was read, so that places fit
    new = renamed_text(padded, label(path, text), names)
    return value if new == padded else new.strip()


def data_path(spec: Spec) -> dict[Span, Path]:
    """Return the text to learn from that a spec's own files name, by the place; none for a shipped
    one.
    """
    rest = {path: value for path, value in spec.overrides.items() if path != DATA}
    own = spec
    if len(rest) < len(spec.overrides):  # what is named from outside hides what the files say
        own = type(spec).from_sources(spec.sources, spec.path, rest, spec.shipped)
    training = own.system.training
    place = training.spans.get("data")
    if place is None or training.data in shipped_names():
        return {}
    beside = seen_from(place)
    return {place: (Path() if beside is None else Path(beside).parent) / training.data}


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


def _short(file: str) -> str:
    """Return the end of a file's name, which its ending is in."""
    return Path(file).name.encode(errors="replace")[-LONGEST:].decode(errors="ignore")
