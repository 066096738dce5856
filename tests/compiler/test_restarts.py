"""Memories that start again as others: behind all commits of a position, so that none waits.

Parameters carry noise, so that a memory on steps is no longer what it started as.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from building import model_of

from nestgraph.compiler import compile_model
from nestgraph.compiler.elaborate import in_dependency_order
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.ir import Op

LEVELS = "{three: 3 tokens, chunk: 4 tokens, six: 6 tokens, nine: 9 tokens, twelve: 12 tokens, " + (
    "slow: 5 steps}"
)
KEYS = "k: {op: linear, in: x, out: 8, then: [{op: l2_norm}]}"
LENGTH = 26

CONSOLIDATION = """
memories:
  fast: {keys: x, values: x, rule: {rate: 0.1}, reset: chunk, init: {kind: from, memory: slow}}
  slow: {level: chunk, keys: x, values: taught, rule: {rate: 0.1}}
nodes:
  taught: {read: fast, query: x}
  y: {read: slow, query: x, at: boundary}
  out: {op: sum, in: [x, taught, y]}
"""

NETS = f"""
memories:
  fast:
    net: {{kind: mlp, expansion: 1}}
    keys: k
    values: x
    rule: {{rate: 0.1, momentum: 0.5, retain: 0.9}}
    reset: chunk
    init: {{kind: from, memory: slow}}
  slow:
    net: {{kind: mlp, expansion: 1}}
    level: chunk
    keys: k
    values: taught
    rule: {{rate: 0.1, momentum: 0.3}}
    reset: nine
nodes:
  {KEYS}
  taught: {{read: fast, query: k}}
  y: {{read: slow, query: k, at: boundary}}
  out: {{op: sum, in: [x, taught, y]}}
"""

RING = f"""
memories:
  a: {{keys: k, values: x, rule: {{rate: 0.1, momentum: 0.5}}, reset: six,
      init: {{kind: from, memory: b}}}}
  b: {{level: three, keys: k, values: ya, rule: {{rate: 0.1}}, reset: twelve,
      init: {{kind: from, memory: c}}}}
  c: {{level: six, keys: k, values: yb, rule: {{rate: 0.1, retain: 0.9}}}}
nodes:
  {KEYS}
  ya: {{read: a, query: k, at: MOMENT}}
  yb: {{read: b, query: k, at: MOMENT, then: [tanh]}}
  yc: {{read: c, query: k, at: MOMENT}}
  out: {{op: sum, in: [x, ya, yb, yc]}}
"""

BETWEEN = f"""
memories:
  fast: {{keys: k, values: x, rule: {{rate: 0.1}}, reset: chunk,
         init: {{kind: from, memory: slow}}}}
  slow: {{level: chunk, keys: k, values: passed, rule: {{rate: 0.1}}}}
  middle: MIDDLE
nodes:
  {KEYS}
  taught: {{read: fast, query: k}}
  passed: {{read: middle, query: k, at: after}}
  y: {{read: slow, query: k, at: boundary}}
  out: {{op: sum, in: [x, taught, passed, y]}}
"""

TASK = """
memories:
  fast: {net: {kind: mlp, expansion: 1}, level: three, objective: task, reset: nine,
         init: {kind: from, memory: slow}}
  slow: {net: {kind: mlp, expansion: 1}, level: nine, objective: task}
nodes:
  taught: {read: fast, query: x}
  y: {read: slow, query: taught}
  out: {op: sum, in: [x, taught, y]}
"""

GROUPS = f"""
memories:
  first: {{net: {{kind: mlp, expansion: 1}}, level: slow, objective: task}}
  second: {{like: first, init: {{kind: from, memory: first}}}}
  near: {{net: {{kind: mlp, expansion: 1}}, level: three, keys: k, values: x,
         rule: {{rate: 0.1}}, reset: nine, init: {{kind: from, memory: second}}}}
  far: {{like: near, values: y, reset: three, init: {{kind: from, memory: near}}}}
nodes:
  {KEYS}
  y: {{read: first, query: x}}
  z: {{read: second, query: y}}
  n: {{read: near, query: k}}
  f: {{read: far, query: k}}
  out: {{op: sum, in: [x, z, n, f]}}
"""


def agrees(body: str, seed: int = 0) -> None:
    system = model_of(body, levels=LEVELS)
    found = verify(system, tokens=LENGTH, seed=seed, spread=0.3)
    assert found.agrees, str(found)


@pytest.mark.parametrize("body", [CONSOLIDATION, NETS, TASK], ids=["linear", "nets", "task"])
def test_a_memory_that_learns_what_one_answers_that_restarts_as_it_agrees(body: str) -> None:
    agrees(body)


@pytest.mark.parametrize(
    "moments", [m for m in itertools.product(("before", "boundary", "after"), repeat=3)][::5]
)
def test_three_memories_that_restart_and_learn_in_a_ring_agree(moments: tuple[str, ...]) -> None:
    body = RING
    for moment in moments:
        body = body.replace("MOMENT", moment, 1)
    agrees(body, seed=7)


@pytest.mark.parametrize(
    "middle",
    [
        "{keys: k, values: taught, rule: {rate: 0.1}, objective: dot}",
        "{net: attention, keys: k, values: taught}",
        "{net: {kind: attention, window: 5}, keys: k, values: taught, reset: six}",
        "{net: {kind: mlp, expansion: 1}, level: nine, keys: k, values: taught, rule: {rate: 0.1}}",
    ],
)
def test_a_memory_on_the_way_from_one_to_the_other_runs_with_them(middle: str) -> None:
    agrees(BETWEEN.replace("MIDDLE", middle))


def test_what_starts_as_a_group_on_steps_restarts_as_what_that_group_is_by_now() -> None:
    agrees(GROUPS)


@pytest.mark.parametrize("cut", [3, 8, 12, 13])
def test_a_consolidation_taken_in_two_parts_gives_the_numbers_of_the_whole(cut: int) -> None:
    system = model_of(NETS, levels=LEVELS)
    assert system.model is not None
    model, source = compile_model(system, seed=1, dtype=torch.float64), torch.Generator()
    tokens = torch.randint(system.model.vocab, (2, LENGTH), generator=source.manual_seed(cut))
    whole = model(tokens)
    first = model(tokens[:, :cut])
    second = model(tokens[:, cut:], first.state)
    together = torch.cat((first.logits, second.logits), 1)
    torch.testing.assert_close(together, whole.logits, rtol=0, atol=1e-12)


def test_ops_that_wait_for_each_other_are_a_fault_and_not_an_endless_walk() -> None:
    ring = [Op(name=str(i), kind="silu", inputs=(str((i + 1) % 3),), width=4) for i in range(3)]
    with pytest.raises(AssertionError, match="waits for itself"):
        list(in_dependency_order(ring))
