"""When a read happens: before, after, or at the boundary."""

from __future__ import annotations

import torch

WIDTH = 6

READS = """
memories:
  M:
    net: {kind: mlp, expansion: 1, activation: tanh}
    heads: 2
    level: LEVEL
    keys: k
    values: x
    rule: {rate: 0.3, retain: 0.9, momentum: 0.5}
nodes:
  k: {op: linear, in: x}
  out: {read: M, query: x, at: AT}
"""
LEVELS = "{chunk: 3 tokens}"


def answers(bench, x, level):
    """Return the three reads of one memory on one flow."""
    found = {}
    learned = None
    for at in ("before", "after", "boundary"):
        b = bench(READS.replace("LEVEL", level).replace("AT", at), WIDTH, LEVELS)
        learned = learned or b.reference.state_dict()
        b.reference.load_state_dict(learned)
        found[at] = b(x)
    return found


def test_with_a_tick_at_every_token_the_boundary_is_what_was_before(bench, flow, agree):
    found = answers(bench, flow(2, 8, WIDTH), "token")
    agree(found["boundary"], found["before"])
    assert (found["after"] - found["before"]).norm() > 1e-3


def test_a_boundary_read_is_the_same_memory_for_a_whole_period(bench, flow, agree):
    found = answers(bench, flow(2, 8, WIDTH), "chunk")
    first_of_period = slice(0, None, 3)
    agree(found["boundary"][:, first_of_period], found["before"][:, first_of_period])
    assert (found["boundary"] - found["before"])[:, 1].norm() > 1e-3


def test_a_memory_that_never_ticks_keeps_its_anchor_and_still_runs(bench, flow):
    b = bench(READS.replace("LEVEL", "never").replace("AT", "after"), WIDTH, LEVELS)
    _, state = b.with_state(flow(2, 8, WIDTH))
    assert torch.equal(state["0.b.M.anchor0"], b.weight("M.W0").expand(2, 2, 3, 3))
    assert (state["0.b.M.A0"] - state["0.b.M.anchor0"]).norm() > 1e-3


def test_two_reads_of_one_memory_may_be_at_different_moments(bench, flow, agree):
    block = """
    memories: {M: {keys: x, values: v, objective: dot}}
    nodes:
      v: {op: linear, in: x}
      a: {read: M, query: x, at: after}
      b: {read: M, query: x, at: before}
      out: {op: sum, in: [a, b], weights: [1, -1]}
    """
    b = bench(block, WIDTH)
    x = flow(2, 5, WIDTH)
    # What one event adds to the answer to its own key.
    agree(b(x), b.project(x, "v") * x.square().sum(-1, keepdim=True))


def test_an_after_read_may_make_the_keys_of_another_memory(bench, flow, agree):
    """The order is that of dependency, whatever the order in the file."""
    block = """
    memories:
      second: {keys: y, values: x, objective: dot, init: zero}
      first: {keys: x, values: x, objective: dot, init: zero}
    nodes:
      out: {read: second, query: x}
      y: {read: first, query: x}
    """
    b = bench(block, WIDTH)
    x = flow(1, 5, WIDTH)
    y = torch.tril(x @ x.mT) @ x
    agree(b(x), torch.tril(x @ y.mT) @ x)


def test_the_boundary_reads_weights_of_the_previous_chunk_and_not_this_ones(bench, flow, agree):
    block = """
    memories: {M: {level: chunk, keys: x, values: x, objective: dot, init: zero}}
    nodes: {out: {read: M, query: x, at: boundary}}
    """
    b = bench(block, WIDTH, LEVELS)
    x = flow(1, 8, WIDTH)
    t = torch.arange(8)
    earlier_chunk = (t[None, :] // 3 < t[:, None] // 3).to(x.dtype)
    agree(b(x), (x @ x.mT * earlier_chunk) @ x)
