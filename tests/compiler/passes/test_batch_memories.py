"""Memories that are alike share one state; those that differ in any axis do not."""

import pytest
from building import model_of

from nestgraph.compiler import plan, print_ir

TWO = """
memories:
  A: {{net: linear, heads: 2, level: chunk, keys: k, values: {{self: v}}, rule: {{rate: 0.1}}}}
  B: {{like: A{change}}}
nodes:
  k: {{op: l2_norm, in: x, heads: 2}}
  v: {{op: linear, in: x}}
  r: {{op: linear, in: x, out: 2, then: [sigmoid]}}
  a: {{read: A, query: k, at: boundary}}
  b: {{read: B, query: {query}, at: {at}}}
  out: {{op: sum, in: [a, b]}}
"""


def stacks(change: str = "", query: str = "k", at: str = "boundary") -> list[tuple[str, ...]]:
    body = TWO.format(change=change, query=query, at=at)
    return [m.members for m in plan(model_of(body)).functions[0].memories]


def test_alike_memories_are_stacked() -> None:
    assert stacks() == [("A", "B")]


@pytest.mark.parametrize(
    "change",
    [
        ", level: long",
        ", keys: v",
        ", values: {self: k}",
        ", values: v",
        ", net: {kind: mlp, expansion: 1}",
        ", objective: {kind: l2, scale: 2}",
        ", rule: {rate: 0.2}",
        ", rule: {rate: r}",
        ", rule: {rate: 0.1, erase: key}",
    ],
)
def test_memories_that_differ_in_an_axis_are_not_stacked(change: str) -> None:
    body = TWO.format(change=change, query="k", at="boundary")
    system = model_of(body, levels="{chunk: 4 tokens, long: 8 tokens}")

    assert [m.members for m in plan(system).functions[0].memories] == [("A",), ("B",)]


def test_memories_with_values_of_their_own_stack_by_value() -> None:
    body = """
memories:
  A: {net: linear, heads: 2, level: chunk, keys: k, values: v, rule: {rate: 0.1}}
  B: {like: A, values: x}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  v: {op: linear, in: x}
  a: {read: A, query: k}
  b: {read: B, query: k}
  out: {op: sum, in: [a, b]}
"""
    assert [m.members for m in plan(model_of(body)).functions[0].memories] == [("A", "B")]


def test_a_memory_whose_values_need_the_other_is_not_stacked_with_it() -> None:
    body = """
memories:
  A: {net: linear, heads: 2, level: chunk, keys: k, values: x, rule: {rate: 0.1}}
  B: {like: A, values: a}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  a: {read: A, query: k, at: after}
  out: {read: B, query: k}
"""
    assert [m.members for m in plan(model_of(body)).functions[0].memories] == [("A",), ("B",)]


def test_boundary_reads_with_different_queries_become_one_read() -> None:
    text = print_ir(model_of(TWO.format(change="", query="v", at="boundary")))

    assert text.count("= read(") == 1
    assert "query=[0, 1]" in text


def test_a_read_whose_query_needs_another_answer_stays_apart() -> None:
    text = print_ir(model_of(TWO.format(change="", query="a", at="boundary")))

    assert text.count("= read(") == 2
