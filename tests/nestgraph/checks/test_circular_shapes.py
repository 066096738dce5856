"""Memories of an optimizer whose keys or values have the shape of their own answers."""

from __future__ import annotations

import pytest
from mistakes import FILE, errors

TEXT = """\
nestgraph: 1
name: round
blocks:
  u:
    inputs: [grad, lr]
    memories:
      m:
        {net: mlp, level: step, keys: KEYS, values: VALUES, rule: {rate: 0.1}, init: fixed}
      param:
        {net: linear, level: step, keys: grad, objective: {kind: task, through: g},
         rule: {rate: lr}, init: given}
    nodes:
      y: {read: m, query: grad, at: before}
      a: {op: l2_norm, in: y}
      same: {op: l2_norm, in: grad}
      g: {op: clip, norm: 1, in: same}
      moved: {read: param, query: grad}
    output: moved
optimizer:
- {for: hidden_matrices, block: u}
- {for: rest, spec: adamw}
"""


@pytest.mark.parametrize(
    ("keys", "values", "place"), [("a", "grad", "8:39"), ("grad", "y", "8:53")]
)
def test_a_shape_that_follows_from_itself_is_refused(keys: str, values: str, place: str):
    (line,) = errors(TEXT.replace("KEYS", keys).replace("VALUES", values))

    flow = keys if values == "grad" else values
    said = f"NG231 `{flow}` takes its shape from what `m` itself answers, so neither has any"
    assert line.startswith(f"{FILE}:{place}: {said}")


def test_a_memory_may_ask_itself_where_the_shape_is_known():
    text = TEXT.replace("KEYS", "grad").replace("VALUES", "same")

    assert [line for line in errors(text) if "NG231" in line] == []
