"""The graph in other formats: whole, readable, and out of reach of whoever wrote the spec."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import networkx as nx
import pytest
import strategies
from building import spec_of
from hypothesis import given, settings

from nestgraph.export import WRITERS, exported
from nestgraph.export.plain import plain_values, safe
from nestgraph.graph.build import build_graph
from nestgraph.graph.spec_graph import SpecGraph
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load

DRAFTS = sorted((Path(__file__).parent / "drafts").glob("*.yaml"))
HOSTILE = "</data><script>alert(1)</script>\"'&]]>\x00\x1b[31m\u202e" + "x" * 10_000


def graph_of(spec: Spec) -> SpecGraph:
    return build_graph(spec.system)


def hostile() -> Spec:
    """Return everything that the language leaves to the author's taste, at its worst."""
    file = '<script>"&.yaml'
    doc = json.dumps(HOSTILE.replace("\x00", "").replace("\x1b", ""))
    text = (
        f"nestgraph: 1\nname: test\ndoc: {doc}\n"
        + """\
blocks: {"]]><b>": {nodes: {out: {op: linear, in: x}}}}
model: {embed: {vocab: 5, width: 8}, stack: [{block: "]]><b>"}]}
"""
    )
    return Spec.from_sources({file: text}, file)


def namesake(graph: SpecGraph) -> nx.MultiDiGraph[str]:
    """Return what a reader should find: the same nodes, edges and plain values."""
    same: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for node, data in graph.nodes(data=True):
        same.add_node(node, **plain_values(data))
    for source, target, key, data in graph.edges(keys=True, data=True):
        same.add_edge(source, target, key, **plain_values(data))
    return same


@pytest.mark.parametrize("path", [*zoo.names(), *DRAFTS], ids=str)
def test_node_link_reads_back_as_the_graph(path) -> None:
    graph = graph_of(load(path))
    read = nx.node_link_graph(json.loads(exported(graph, "node-link")), edges="edges")
    expected = namesake(graph)
    assert dict(read.nodes(data=True)) == dict(expected.nodes(data=True))
    assert sorted(read.edges(keys=True)) == sorted(expected.edges(keys=True))
    for source, target, key, data in expected.edges(keys=True, data=True):
        assert read.edges[source, target, key] == data


@pytest.mark.parametrize("path", ["hope-tiny", "deltanet-tiny", DRAFTS[0]], ids=str)
def test_graphml_reads_back_as_the_graph(path) -> None:
    graph = graph_of(load(path))
    read = nx.parse_graphml(exported(graph, "graphml"), force_multigraph=True)
    expected = namesake(graph)
    assert dict(read.nodes(data=True)) == dict(expected.nodes(data=True))
    found = sorted((s, t, data["key_of_edge"]) for s, t, data in read.edges(data=True))
    assert found == sorted(expected.edges(keys=True))


@pytest.mark.parametrize("path", [*zoo.names(), *DRAFTS], ids=str)
def test_model_explorer_gets_an_acyclic_graph_whose_edges_all_end(path) -> None:
    graph = graph_of(load(path))
    told = json.loads(exported(graph, "model-explorer"))
    (shown,) = told["graphs"]
    assert [node["id"] for node in shown["nodes"]] == list(graph)
    flows: nx.DiGraph[str] = nx.DiGraph()
    flows.add_nodes_from(graph)
    edges = [(edge["sourceNodeId"], n["id"]) for n in shown["nodes"] for edge in n["incomingEdges"]]
    flows.add_edges_from(edges)
    assert set(flows) == set(graph)
    assert nx.is_directed_acyclic_graph(flows)
    (overlay,) = shown["tasksData"]["edgeOverlaysDataListLeftPane"][0]["overlays"]
    assert len(edges) + len(overlay["edges"]) == graph.number_of_edges()
    values = [pair["value"] for node in shown["nodes"] for pair in node["attrs"]]
    assert all(isinstance(value, str) for value in values)


def test_model_explorer_nests_blocks_inside_layers() -> None:
    told = json.loads(exported(graph_of(load("hope-tiny")), "model-explorer"))
    nodes = {node["id"]: node for node in told["graphs"][0]["nodes"]}
    assert nodes["0.hope/a.M_k.write"]["namespace"] == "0.hope/a"
    assert nodes["0.hope/a.M_k.write"]["label"] == "M_k (write)"
    assert nodes["embed"]["namespace"] == ""


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_a_hostile_spec_stays_in_its_place(form: str) -> None:
    graph = graph_of(hostile())
    graph.graph["doc"] = HOSTILE
    graph.nodes["0.]]><b>/out"]["note"] = HOSTILE
    text = exported(graph, form)
    assert not set(text) & {"\x00", "\x1b", "\u202e"}
    if form == "graphml":
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
        assert tags == {"graphml", "key", "graph", "node", "edge", "data"}
        assert "0.]]><b>/out" in nx.parse_graphml(text)
    else:
        assert json.loads(text)


@given(strategies.specs())
@settings(max_examples=25)
def test_drawn_specs_export_in_every_format(fields) -> None:
    graph = graph_of(spec_of(strategies.as_yaml(fields)))
    for form in WRITERS:
        assert exported(graph, form) == exported(graph, form)
    assert set(nx.parse_graphml(exported(graph, "graphml"))) == {safe(node) for node in graph}
