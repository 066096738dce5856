"""A small model with attention, a memory on tokens and two groups on slower step clocks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nestgraph.language.spec import Spec, load

sys.path.insert(0, str(Path(__file__).parent))  # for the helpers beside the tests

TEXT = """\
nestgraph: 1
name: small
vars: {width: 16}
levels: {context: 3 tokens, fast: 2 steps, slow: 5 steps}
blocks:
  mix:
    memories:
      A: {net: attention, heads: 2, keys: k, values: v}
      C: {net: linear, level: context, keys: k, values: v, rule: {rate: 0.1}}
      F: {net: {kind: mlp, layers: 2, expansion: 1}, level: fast, objective: task}
      S: {net: linear, level: slow, objective: task}
    nodes:
      u: {op: rms_norm, in: x}
      q: {op: linear, in: u, then: [l2_norm]}
      k: {op: linear, in: u, then: [l2_norm]}
      v: {op: linear, in: u, bias: true}
      a: {read: A, query: q}
      c: {read: C, query: q, at: boundary}
      h: {op: sum, in: [x, a, c]}
      f: {read: F, query: h}
      s: {read: S, query: f}
      out: {op: sum, in: [h, f, s]}
model:
  embed: {vocab: 256, width: $width}
  stack: [{block: mix}]
  norm: rms_norm
  head: {tie: true}
training: {batch: 3, context: 8, steps: 12, warmup: 3, val_interval: 5, lr: 0.01, min_lr: 0.001}
"""


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    """Return the spec on the disk."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def spec(spec_file: Path) -> Spec:
    """Return the spec."""
    return load(spec_file)
