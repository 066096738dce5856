"""Widths are inferred through ops, memories and loops; what doesn't fit is tested by golden files
(`test_checks.py`).
"""

from __future__ import annotations

import pytest
from building import SGD, block_of, system_of

from nestgraph.shapes import infer


@pytest.mark.parametrize(
    ("node", "width"),
    [
        ("{op: linear, in: x}", 8),
        ("{op: linear, in: x, out: 5}", 5),
        ("{op: conv, in: x, width: 3}", 8),
        ("{op: l2_norm, in: x, heads: 4}", 8),
        ("{op: gain, in: x, heads: 2}", 8),
        ("{op: silu, in: x}", 8),
        ("{op: mean, in: x, heads: 2}", 2),
        ("{op: total, in: x, heads: 4}", 4),
        ("{op: tile, in: x, times: 3}", 24),
        ("{op: repeat, in: x, times: 3}", 24),
        ("{op: repeat, in: x, heads: 2, times: [1, 2, 3, 4]}", 20),
        ("{op: slice, in: x, heads: 2, start: 1, size: 2}", 4),
        ("{op: decay, in: x}", 8),
        ("{op: decay, in: x, states: 4}", 32),
        ("{op: rope, in: x, heads: 4}", 8),
        ("{op: position}", 1),
        ("{op: position, then: [{op: lookup, size: 9}]}", 1),
        ("{op: sum, in: [x, x], weights: [1, 2]}", 8),
        ("{op: divide, in: [x, x]}", 8),
    ],
)
def test_an_op_makes_a_flow_of_its_width(node: str, width: int):
    block = block_of(f"""
        nodes:
          a: {node}
          out: {{op: linear, in: a, out: 8}}
    """)

    assert block.nodes["a"].width == width


def test_values_give_a_memory_its_answer_width():
    block = block_of("""
        memories:
          M: {heads: 2, keys: x, values: v}
        nodes:
          v: {op: linear, in: x, out: 6}
          y: {read: M, query: x}
          w: {read: M}
          o: {op: linear, in: y, out: 8}
          p: {op: linear, in: w, out: 8}
          out: {op: sum, in: [o, p]}
    """)

    assert (block.memories["M"].key_width, block.memories["M"].value_width) == (8, 6)
    assert block.nodes["y"].width == 6
    assert block.nodes["w"].width == 2 * 4 * 3  # the matrix itself, head by head


def test_out_of_the_net_comes_before_the_values():
    block = block_of("""
        memories:
          W: {net: {kind: linear, out: 20}, keys: x, values: {self: x}}
        nodes:
          y: {read: W, query: x}
          out: {op: linear, in: y, out: 8}
    """)

    assert (block.memories["W"].key_width, block.memories["W"].value_width) == (8, 20)


def test_a_task_memory_takes_its_widths_from_its_queries():
    block = block_of("""
        memories:
          F: {net: mlp, level: slow, objective: task}
        nodes:
          a: {op: linear, in: x, out: 6}
          y: {read: F, query: a}
          out: {op: linear, in: y, out: 8}
    """)

    assert (block.memories["F"].key_width, block.memories["F"].value_width) == (6, 6)


def test_a_vector_is_as_wide_as_its_values():
    block = block_of("""
        memories:
          V: {net: vector, values: v}
        nodes:
          v: {op: linear, in: x, out: 3}
          y: {read: V}
          out: {op: linear, in: y, out: 8}
    """)

    assert block.nodes["y"].width == 3
    assert block.memories["V"].key_width is None


def test_memories_that_make_their_own_keys_find_their_width_in_their_queries():
    block = block_of("""
        memories:
          M:
            net: {kind: mlp, residual: true}
            level: chunk
            keys: k
            values: {self: v}
            rule: {rate: r}
          N: {like: M}
        nodes:
          k: {read: M, query: x, at: boundary, then: [l2_norm]}
          v: {read: N, query: x, at: boundary, then: [l2_norm]}
          r: {read: N, query: x, at: boundary, then: [mean, sigmoid]}
          out: {read: M, query: x}
    """)

    for flow in ("k", "v", "out"):
        assert block.nodes[flow].width == 8
    assert block.nodes["r"].width == 1


def test_a_memory_whose_values_are_its_own_answers_is_as_wide_as_its_keys():
    block = block_of("""
        memories:
          M: {keys: k, values: v}
        nodes:
          k: {op: linear, in: x, out: 4}
          v: {read: M, query: k, at: before}
          y: {read: M, query: k}
          out: {op: linear, in: y, out: 8}
    """)

    assert block.memories["M"].value_width == 4


def test_a_sum_inside_a_loop_takes_the_width_that_is_known():
    block = block_of("""
        memories:
          M: {keys: s, values: x}
          N: {keys: x, values: s}
        nodes:
          q: {read: N, query: x, at: before}
          w: {op: linear, in: x, out: 6}
          s: {op: sum, in: [q, w]}
          y: {read: M, query: s}
          out: {op: sum, in: [x, y]}
    """)

    assert block.memories["N"].value_width == 6
    assert block.nodes["q"].width == 6


def test_a_memory_that_nothing_asks_has_the_widths_of_those_that_start_as_it():
    block = block_of("""
        memories:
          F: {level: chunk, objective: task, init: {kind: from, memory: G}}
          G: {level: chunk, objective: task}
        nodes:
          a: {op: linear, in: x, out: 6}
          y: {read: F, query: a}
          out: {op: linear, in: y, out: 8}
    """)

    assert (block.memories["G"].key_width, block.memories["G"].value_width) == (6, 6)


def test_repeats_share_one_block_before_and_after():
    system = system_of("""
        nestgraph: 1
        name: test
        blocks:
          b:
            nodes:
              out: {op: linear, in: x}
        model: {embed: {vocab: 5, width: 8}, stack: [{block: b, repeat: 3}]}
    """)

    assert system.model is not None
    assert len({id(layer.block) for layer in system.model.layers}) == 1


def test_an_optimizer_is_left_as_it_is():
    system = system_of(SGD)

    assert infer(system) == (system, ())
