"""The resolved text of a spec as plain values, and plain values as a spec again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nestgraph.errors import InputError
from nestgraph.findings import Findings
from nestgraph.language.authoring import names_seen_from
from nestgraph.language.resolved import written
from nestgraph.language.spec import Spec
from nestgraph.language.system import Model
from nestgraph.text.source import parse
from nestgraph.text.tree import plain

Values = dict[str, Any]

TRAINING = "training."


def model_of(spec: Spec) -> Model:
    """Return the model of a spec.

    Raises:
        InputError: NG955, when it is an optimizer.
    """
    if spec.system.model is None:
        hint = "name a model; `nestgraph list` shows them"
        message = f"`{spec.system.name}` is an optimizer, which has no controls and no ablations"
        raise InputError("NG955", message, hint)
    return spec.system.model


def resolved(spec: Spec) -> Spec:
    """Return the spec as its resolved text reads: one block for each set of vars, and no vars."""
    return _read(spec, spec.resolved_yaml(names_seen_from(Path(spec.path).parent, spec)))


def values_of(spec: Spec) -> Values:
    """Return the plain values of a spec that `resolved` has made."""
    tree = parse(spec.sources[spec.path], spec.path, Findings())
    assert tree is not None
    values = plain(tree)
    assert isinstance(values, dict)
    return values


def spec_of(values: Mapping[str, object], like: Spec) -> Spec:
    """Return the spec that plain values say.

    Args:
        values: of a whole file.
        like: the spec that they were made from; they refer to the same files as it does.

    Raises:
        SpecError: with every problem found.
    """
    return _read(like, written(values))


def _read(spec: Spec, text: str) -> Spec:
    """Return the spec of a resolved text; what was set of its training counts as set still."""
    sources = {**spec.sources, spec.path: text}
    kept = {path: value for path, value in spec.overrides.items() if path.startswith(TRAINING)}
    return Spec.from_sources(sources, spec.path, kept, spec.shipped)
