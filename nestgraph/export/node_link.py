"""The node-link JSON of networkx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nestgraph.export.plain import plain_edges, plain_nodes, safe

if TYPE_CHECKING:
    from nestgraph.graph.spec_graph import SpecGraph


def node_link(graph: SpecGraph) -> str:
    """Return the graph as JSON that `networkx.node_link_graph(data, edges="edges")` reads back."""
    about = {key: safe(graph.graph.get(key, "")) for key in ("name", "doc")}
    data = {
        "directed": True,
        "multigraph": True,
        "graph": about,
        "nodes": [{**values, "id": node} for node, values in plain_nodes(graph)],
        "edges": [
            {**values, "source": source, "target": target, "key": key}
            for source, target, key, values in plain_edges(graph)
        ],
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
