"""A model that trains in a moment, and a task that it can learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nestgraph.language.spec import Spec, load

SMALL = """\
nestgraph: 1
name: small
doc: One memory by the delta rule.
vars: {vocab: 256, width: 16, rate: 0.5}
blocks:
  layer:
    memories:
      M: {keys: k, values: v, rule: {rate: $rate, erase: key}}
    nodes:
      k: {op: linear, in: x, then: [{op: conv, width: 2}, l2_norm]}
      q: {op: linear, in: x, then: [l2_norm]}
      v: {op: linear, in: x}
      y: {read: M, query: q}
      out: {op: sum, in: [x, y]}
model:
  embed: {vocab: $vocab, width: $width}
  stack: [{block: layer}]
  norm: rms_norm
  head: {tie: true}
"""

Small = Callable[..., Spec]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Return the spec, written with one piece of its text replaced, and loaded with overrides."""

    def loaded(old: str = "", new: str = "", *, name: str = "small", **overrides: object) -> Spec:
        assert old in SMALL
        file = tmp_path / f"{name}.yaml"
        file.write_text(SMALL.replace(old, new) if old else SMALL)
        return load(file, {path.replace("__", "."): value for path, value in overrides.items()})

    return loaded
