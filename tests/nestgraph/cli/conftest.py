"""How the tests of the command line call it, and a small spec to call it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nestgraph.cli.commands import app

SPEC = """\
nestgraph: 1
name: small
doc: One linear memory.
vars: {width: 16, heads: 2}
levels: {chunk: 4 tokens}
blocks:
  layer:
    memories:
      M: {net: linear, heads: $heads, keys: k, values: x, rule: {rate: 0.5}}
    nodes:
      k: {op: linear, in: x, then: [{op: l2_norm, heads: $heads}]}
      y: {read: M, query: k}
      out: {op: sum, in: [x, y]}
model:
  embed: {vocab: 256, width: $width}
  stack: [{block: layer, repeat: 2}]
  norm: rms_norm
  head: {tie: true}
"""

Run = Callable[..., Result]
Write = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the small spec with one piece of its text replaced."""

    def written(old: str = "", new: str = "", name: str = "small.yaml") -> Path:
        assert old in SPEC, old
        path = tmp_path / name
        path.write_text(SPEC.replace(old, new) if old else SPEC)
        return path

    return written
