"""Loops of graphs: found whatever their length, shortest first."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from nestgraph.checks.loops import components, shortest_loop


def test_a_graph_without_loops_has_no_component():
    assert components({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_a_name_that_needs_itself_is_a_loop():
    assert components({"a": ["b"], "b": ["b"]}) == [["b"]]
    assert shortest_loop({"a": ["b"], "b": ["b"]}, ["b"]) == ["b"]


def test_the_shortest_loop_of_a_tangle_is_told():
    needs = {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["a", "c"]}

    assert components(needs) == [["a", "b", "c", "d"]]
    assert shortest_loop(needs, ["a", "b", "c", "d"]) == ["c", "d"]


def test_a_chain_longer_than_the_stack_of_python_is_no_trouble():
    size = 50_000
    chain = {str(i): [str((i + 1) % size)] for i in range(size)}

    assert len(components(chain)) == 1


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=30))
def test_components_and_loops_agree_with_networkx(edges: list[tuple[int, int]]):
    graph = nx.DiGraph([(str(a), str(b)) for a, b in edges])
    needs = {name: list(graph.successors(name)) for name in graph}
    expected = {
        frozenset(c)
        for c in nx.strongly_connected_components(graph)
        if len(c) > 1 or graph.has_edge(*(list(c) * 2))
    }

    found = components(needs)

    assert {frozenset(c) for c in found} == expected
    for component in found:
        loop = shortest_loop(needs, component)
        assert all(b in needs[a] for a, b in zip(loop, loop[1:] + loop[:1], strict=True))
        inside = graph.subgraph(component)
        lengths = dict(nx.all_pairs_shortest_path_length(inside))
        assert len(loop) == min(lengths[b][a] + 1 for a, b in inside.edges)
