"""GraphML, written by networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestgraph.export.plain import plain_edges, plain_nodes, safe

if TYPE_CHECKING:
    from nestgraph.graph.spec_graph import SpecGraph


def graphml(graph: SpecGraph) -> str:
    """Return the graph as XML; keys of edges are in their attribute `key`."""
    import networkx as nx

    plain: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    plain.graph.update(name=safe(graph.graph.get("name", "")), doc=safe(graph.graph.get("doc", "")))
    for node, values in plain_nodes(graph):
        plain.add_node(node, **values)
    for source, target, key, values in plain_edges(graph):
        plain.add_edge(source, target, **{**values, "key_of_edge": key})
    return "\n".join(nx.generate_graphml(plain, encoding="utf-8", named_key_ids=False)) + "\n"
