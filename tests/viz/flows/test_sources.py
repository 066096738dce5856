"""Who feeds whom, with the ops between left out."""

from __future__ import annotations

from building import model_of

from nestgraph.graph.build import build_graph
from nestgraph.viz.flows.sources import STREAM, nearest, sources


def found(body: str) -> dict[str, tuple[str, ...]]:
    graph = build_graph(model_of(body))
    return {name.removeprefix("0.b/"): kept for name, kept in sources(graph).items()}


TWO = """
memories:
  A: {keys: x, values: x}
  B: {keys: x, values: x}
nodes:
  u: {op: silu, in: x}
  a: {read: A, query: u}
  h: {op: sum, in: [x, a]}
  b: {read: B, query: %s}
  out: {op: sum, in: [h, b]}
"""


def test_ops_pass_on_what_they_are_fed() -> None:
    assert found(TWO % "h")["u"] == (STREAM,)


def test_a_residual_path_around_a_memory_is_left_out() -> None:
    told = found(TWO % "h")
    assert told["h"] == ("0.b/A",)
    assert told["out"] == ("0.b/B",)


def test_memories_side_by_side_both_feed_what_follows() -> None:
    assert set(found(TWO % "u")["out"]) == {"0.b/A", "0.b/B"}


def test_the_head_hears_what_the_last_block_hears() -> None:
    assert found(TWO % "h")["head"] == ("0.b/B",)


def test_memories_that_hear_each_other_all_stay() -> None:
    assert nearest(["a", "b"], {"a": {"b"}, "b": {"a"}}) == ("a", "b")
