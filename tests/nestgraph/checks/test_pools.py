"""A pool is over a level that ticks: what it gathers comes out at the ends of its periods."""

from __future__ import annotations

import pytest
from building import spec_of

from nestgraph.errors import SpecError

SPEC = """
nestgraph: 1
name: a
levels: {slow: 4 steps, still: never}
blocks:
  b:
    inputs: [grad, lr]
    memories:
      param: {net: vector, level: step, objective: {kind: task, through: u}, rule: {rate: lr}, init: given}
    nodes:
      u: {op: pool, in: grad, level: %s}
optimizer: [{for: all, block: b}]
"""  # noqa: E501 - YAML


@pytest.mark.parametrize("level", ["never", "still"])
def test_a_pool_over_a_level_that_never_ticks_is_refused_at_its_level(level: str):
    with pytest.raises(SpecError, match=rf"11:38: NG356 .*`{level}`, which never ticks"):
        spec_of(SPEC % level)


@pytest.mark.parametrize("level", ["step", "slow"])
def test_a_pool_over_a_level_of_steps_is_taken(level: str):
    assert spec_of(SPEC % level)
