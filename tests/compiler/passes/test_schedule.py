"""What recurs runs in loops, one a clock; what does not runs once."""

import pytest
from building import model_of

from nestgraph.compiler import plan, print_ir
from nestgraph.compiler.planning import FunctionPlan

ANCHORED = "net: linear, heads: 2, level: {level}, keys: k, values: x, rule: {{rate: 0.1}}"


def planned(body: str, levels: str = "{chunk: 4 tokens, long: 6 tokens}") -> FunctionPlan:
    return plan(model_of(body, levels=levels)).functions[0]


def two(level_a: str, level_b: str, between: str = "k") -> str:
    return f"""
memories:
  A: {{{ANCHORED.format(level=level_a)}}}
  B: {{{ANCHORED.format(level=level_b)}, objective: {{kind: l2, scale: 2}}}}
  D: {{net: linear, heads: 2, keys: k, values: a, rule: {{rate: 0.1}}}}
nodes:
  k: {{op: l2_norm, in: x, heads: 2}}
  a: {{read: A, query: k}}
  d: {{read: D, query: k}}
  n: {{op: tanh, in: a}}
  b: {{read: B, query: {between}}}
  out: {{op: sum, in: [a, b, d]}}
"""


def test_a_memory_alone_with_a_closed_form_needs_no_loop() -> None:
    body = """
memories:
  M: {net: linear, heads: 2, keys: x, values: x, rule: {rate: 0.1}}
nodes:
  out: {read: M, query: x}
"""
    assert planned(body).loops == ()


def test_loops_on_one_clock_are_joined_across_plain_ops() -> None:
    (loop,) = planned(two("chunk", "chunk", between="n")).loops

    assert loop.memories == ("A", "B")
    assert loop.periods == (4,)


def test_loops_on_different_clocks_stay_apart() -> None:
    loops = planned(two("chunk", "long")).loops

    assert [loop.periods for loop in loops] == [(4,), (6,)]


def test_loops_are_not_joined_around_another_memory() -> None:
    loops = planned(two("chunk", "chunk", between="d")).loops

    assert [loop.memories for loop in loops] == [("A",), ("B",)]


def test_a_level_that_never_commits_is_cut_by_the_longest_segment_only() -> None:
    (loop,) = planned(
        f"memories:\n  M: {{{ANCHORED.format(level='never')}}}\nnodes:\n"
        "  k: {op: l2_norm, in: x, heads: 2}\n  out: {read: M, query: k}\n"
    ).loops

    assert loop.periods == ()
    assert loop.longest == 64


WHOLE = """
memories:
  M: {net: {kind: mlp, layers: 2}, heads: 2, keys: k, values: x, level: chunk, rule: {rate: 0.1}}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  y: {read: M, query: %s, at: %s}
  out: {op: sum, in: [x, y]}
"""


@pytest.mark.parametrize("at", ["after", "boundary"])
def test_a_memory_that_adds_up_its_events_takes_whole_periods_at_once(at: str) -> None:
    (loop,) = planned(WHOLE % ("k", at)).loops

    assert (loop.whole, loop.periods, loop.longest) == (True, (4,), 64)


def test_the_write_of_whole_periods_comes_before_reads_at_the_boundary() -> None:
    names = [
        line.split(" = ")[0].strip()
        for line in print_ir(model_of(WHOLE % ("x", "boundary"))).splitlines()
    ]

    assert names.index("%M#1.write") < names.index("%y")


@pytest.mark.parametrize(
    "change",
    [
        ("values: x", "values: {self: y}"),
        ("rule: {rate: 0.1}", "rule: {rate: 0.1, erase: {}}"),
        ("values: x", "values: x, gradient: first_order"),
    ],
)
def test_other_memories_take_one_period_at_a_time(change: tuple[str, str]) -> None:
    (loop,) = planned((WHOLE % ("x", "boundary")).replace(*change)).loops

    assert not loop.whole


def test_a_carried_read_makes_the_loop_a_scan_over_tokens() -> None:
    body = """
memories:
  W: {net: linear, heads: 2, keys: k, values: {self: x}, rule: {rate: 0.1}}
nodes:
  z: {read: W, query: x, at: before}
  k: {op: l2_norm, in: z, heads: 2}
  out: {op: sum, in: [x, z]}
"""
    (loop,) = planned(body).loops

    assert loop.longest == 1


def test_ops_outside_a_loop_are_left_outside() -> None:
    text = print_ir(model_of(two("chunk", "chunk", between="n")))
    lines = {line.split(" = ")[0].strip(): line for line in text.splitlines() if " = " in line}

    assert "loop=0" in lines["%n"]
    assert "loop=" not in lines["%k"]
    assert "loop=" not in lines["%out"]
