"""What recurs runs in loops, one a clock; what does not runs once."""

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
