"""Texts of a spec as one folder keeps them, where each name of a file means what lies there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nestgraph.data.shipped import shipped_names
from nestgraph.errors import Span
from nestgraph.language.spec import Spec
from nestgraph.text.kept import Names, renamed_text
from nestgraph.text.settings import label, seen_from, text_of

SPEC = "spec.yaml"
RESOLVED = "resolved.yaml"
OVERRIDES = "overrides.json"
DATA = "training.data"
LONGEST = 200  # bytes of a file's own name that are kept


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


def _short(file: str) -> str:
    """Return the end of a file's name, which its ending is in."""
    return Path(file).name.encode(errors="replace")[-LONGEST:].decode(errors="ignore")
