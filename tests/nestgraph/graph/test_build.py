"""The graph of a system: nodes, kinds of edges, and cycles only through `carry`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from building import model_of, model_text, spec_of, system_of
from hypothesis import given, settings
from strategies import as_yaml, specs

from nestgraph.graph.build import build_graph, within_tick
from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import System

DRAFTS = sorted((Path(__file__).parent.parent / "drafts").glob("*.yaml"))
ALL = [*zoo.names(), *map(str, DRAFTS)]

BODY = """
memories:
  M:
    net: mlp
    level: chunk
    keys: k
    values: {self: v}
    rule: {rate: r, retain: 0.5, erase: {where: key, rate: r}}
nodes:
  k: {op: linear, in: x}
  v: {read: M, query: x, at: boundary}
  r: {op: linear, in: x, out: 1}
  late: {read: M, query: k}
  early: {read: M, query: k, at: before}
  out: {op: sum, in: [late, early]}
"""

Edges = set[tuple[str, str, str, str]]


def edges(graph: nx.MultiDiGraph[str], kinds: Iterable[str]) -> Edges:
    wanted = set(kinds)
    return {
        (source, target, edge["kind"], edge["role"])
        for source, target, edge in graph.edges(data=True)
        if edge["kind"] in wanted
    }


def attributes(graph: nx.MultiDiGraph[str], source: str, target: str) -> dict[str, Any]:
    (found,) = graph[source][target].values()
    return dict(found)


@pytest.mark.parametrize("roll", [False, True])
@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_without_carry_edges_a_spec_is_acyclic(name: str, roll: bool) -> None:
    graph = build_graph(load(name).system, roll)
    assert nx.is_directed_acyclic_graph(within_tick(graph))


@settings(max_examples=60)
@given(specs())
def test_without_carry_edges_a_random_spec_is_acyclic(spec: dict[str, Any]) -> None:
    graph = build_graph(spec_of(as_yaml(spec)).system)
    assert nx.is_directed_acyclic_graph(within_tick(graph))


@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_every_node_and_edge_has_a_kind_a_clock_and_a_span(name: str) -> None:
    graph = build_graph(load(name).system)
    everything = [held for _, held in graph.nodes(data=True)]
    everything += [held for _, _, held in graph.edges(data=True)]
    common = {"kind", "level", "unit", "period", "frequency", "span"}
    assert all(common <= held.keys() for held in everything)


def test_a_memory_is_split_into_its_write_and_its_reads() -> None:
    graph = build_graph(model_of(BODY))
    write = "0.b/M.write"
    assert edges(graph, ["carry"]) >= {
        (write, write, "carry", "state"),
        (write, "0.b/v", "carry", "boundary"),
        (write, "0.b/early", "carry", "before"),
    }
    assert (write, "0.b/late", "flow", "after") in edges(graph, ["flow"])


def test_what_a_memory_stores_and_its_rates_have_kinds_of_their_own() -> None:
    graph = build_graph(model_of(BODY))
    assert edges(graph, ["write", "rate"]) == {
        ("0.b/k", "0.b/M.write", "write", "keys"),
        ("0.b/v", "0.b/M.write", "write", "values"),
        ("0.b/r", "0.b/M.write", "rate", "rate"),
        ("0.b/r", "0.b/M.write", "rate", "erase.rate"),
    }
    assert attributes(graph, "0.b/v", "0.b/M.write")["own"]
    assert not attributes(graph, "0.b/k", "0.b/M.write")["own"]


def test_a_carry_edge_crosses_at_positions_or_at_the_ticks_of_the_level() -> None:
    graph = build_graph(model_of(BODY))
    assert attributes(graph, "0.b/M.write", "0.b/v")["period"] == 4
    assert attributes(graph, "0.b/M.write", "0.b/early")["period"] == 1


def test_spans_point_into_the_file() -> None:
    text = model_text(BODY, 8, "{chunk: 4 tokens}")
    graph = build_graph(system_of(text))
    span = attributes(graph, "0.b/k", "0.b/M.write")["span"]
    assert span.file == "test.yaml"
    assert text.splitlines()[span.line - 1].strip() == "keys: k"


def test_the_outermost_level_trains_parameters_and_learned_states() -> None:
    graph = build_graph(model_of(BODY))
    assert edges(graph, ["init", "task"]) == {
        ("parameters", "0.b/M.write", "init", "learned"),
        ("loss", "optimizer", "task", "loss"),
    }
    assert ("optimizer", "parameters", "carry", "state") in edges(graph, ["carry"])
    assert graph.nodes["parameters"]["level"] == "step"


def test_states_that_are_not_learned_have_no_initialisation_edge() -> None:
    body = """
    memories:
      Z: {keys: x, values: x, init: zero}
      A: {net: attention, keys: x, values: x}
      G: {net: mlp, level: slow, objective: task}
    nodes:
      z: {read: Z, query: x}
      a: {read: A, query: z}
      out: {read: G, query: a}
    """
    assert not edges(build_graph(model_of(body)), ["init"])


def test_task_memories_hear_from_the_loss_and_show_their_anchor() -> None:
    body = """
    memories:
      T: {net: mlp, level: chunk, objective: task, rule: {rate: 0.01}}
      G: {net: mlp, level: slow, objective: task}
    nodes:
      t: {read: T, query: x}
      out: {read: G, query: t}
    """
    graph = build_graph(model_of(body))
    assert edges(graph, ["task"]) >= {
        ("loss", "0.b/T.write", "task", "loss"),
        ("loss", "0.b/G.write", "task", "loss"),
    }
    carried = attributes(graph, "0.b/G.write", "0.b/out")
    assert (carried["kind"], carried["unit"], carried["period"]) == ("carry", "steps", 5)


def test_a_start_at_another_memory_crosses_through_its_read_side() -> None:
    body = """
    memories:
      S: {net: mlp, level: slow_tokens, objective: task, rule: {rate: 0.01}}
      F: {like: S, level: chunk, init: {kind: from, memory: S}, reset: slow_tokens}
    nodes:
      out: {read: F, query: x}
    """
    graph = build_graph(model_of(body, levels="{chunk: 4 tokens, slow_tokens: 8 tokens}"))
    assert ("0.b/S.write", "0.b/S.read", "carry", "from") in edges(graph, ["carry"])
    assert ("0.b/S.read", "0.b/F.write", "init", "from") in edges(graph, ["init"])


def test_instances_of_a_block_are_chained_through_their_inputs() -> None:
    graph = build_graph(load("transformer-tiny", {"depth": 3}).system)
    flows = edges(graph, ["flow"])
    assert ("embed", "0.layer/x", "flow", "in") in flows
    assert ("1.layer/out", "2.layer/x", "flow", "in") in flows
    assert ("norm", "head", "flow", "in") in flows


def test_rolled_up_repeats_stand_once_and_say_how_often() -> None:
    graph = build_graph(load("transformer-tiny", {"depth": 3}).system, roll=True)
    assert {node["layer"] for _, node in graph.nodes(data=True) if "layer" in node} == {"0.layer"}
    assert graph.nodes["0.layer/A.write"]["repeat"] == 3
    assert ("0.layer/out", "norm", "flow", "in") in edges(graph, ["flow"])


def test_a_write_tells_net_objective_and_rule() -> None:
    write = build_graph(model_of(BODY)).nodes["0.b/M.write"]
    assert write["net"] == "mlp, 2 layers x4, silu"
    assert write["objective"] == "l2"
    assert write["rule"] == "rate r, retain 0.5, erase key rate r"
    assert (write["level"], write["unit"], write["period"]) == ("chunk", "tokens", 4)
    assert write["frequency"] == "1/4 per token"


def optimizer(name: str) -> System:
    return load(str(Path(__file__).parent.parent / "drafts" / f"{name}.yaml")).system


def test_an_optimizer_closes_its_loop_through_the_loss() -> None:
    graph = build_graph(optimizer("m3-ema"))
    assert ("loss", "0.m3/grad", "task", "loss") in edges(graph, ["task"])
    assert ("0.m3/u", "0.m3/param.write", "task", "through") in edges(graph, ["task"])
    assert ("0.m3/lr", "0.m3/param.write", "rate", "rate") in edges(graph, ["rate"])
    assert ("parameters", "0.m3/param.write", "init", "given") in edges(graph, ["init"])
    assert nx.has_path(graph, "0.m3/param.write", "0.m3/grad")


def test_a_pooled_flow_ticks_with_its_level() -> None:
    graph = build_graph(optimizer("m3-ema"))
    assert graph.nodes["0.m3/chunk"]["period"] == 100
    assert graph.nodes["0.m3/squared"]["period"] == 1


def test_a_group_that_another_spec_updates_is_an_optimizer_node() -> None:
    node = build_graph(optimizer("m3")).nodes["1.adamw"]
    assert (node["kind"], node["group"]) == ("optimizer", "rest")
