"""JSON for Model Explorer, which shows large graphs layer by layer.

What happens within a tick makes the graph; edges that carry a state from one tick to the next would
make it go round, and lie over it as an overlay.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from nestgraph.display.wording import plain
from nestgraph.export.plain import Values, plain_edges, plain_nodes, safe

if TYPE_CHECKING:
    from nestgraph.graph.spec_graph import SpecGraph

Json = dict[str, Any]
CARRY_COLOUR = "#b5179e"


def model_explorer(graph: SpecGraph) -> str:
    """Return a collection of one graph; namespaces are layers and the blocks inside them."""
    edges = list(plain_edges(graph))
    incoming: dict[str, list[Json]] = defaultdict(list)
    for source, target, key, values in edges:
        if values["kind"] != "carry":
            incoming[target].append(
                {
                    "sourceNodeId": source,
                    "sourceNodeOutputId": "0",
                    "targetNodeInputId": key,
                }
            )
    nodes = [_node(node, values, incoming[node]) for node, values in plain_nodes(graph)]
    carried = [
        {"sourceNodeId": source, "targetNodeId": target, "label": str(values["role"])}
        for source, target, _, values in edges
        if values["kind"] == "carry"
    ]
    name = safe(graph.graph.get("name", "graph"))
    shown = {"id": name, "nodes": nodes, "tasksData": _overlay(carried)}
    collection = {"label": name, "graphs": [shown]}
    return json.dumps(collection, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _node(node: str, values: Values, incoming: list[Json]) -> Json:
    namespace, _, label = node.replace(".write", "").rpartition("/")
    *blocks, own = label.split(".")
    inputs = [
        {"id": edge["targetNodeInputId"], "attrs": [_pair("from", edge["sourceNodeId"])]}
        for edge in incoming
    ]
    return {
        "id": node,
        "label": f"{own} (write)" if values["kind"] == "write" else own,
        "namespace": "/".join(filter(None, (namespace, *blocks))),
        "attrs": [_pair(key, value) for key, value in values.items()],
        "incomingEdges": incoming,
        "inputsMetadata": inputs,
    }


def _pair(key: str, value: object) -> Json:
    return {"key": key, "value": plain(value)}


def _overlay(edges: list[Json]) -> Json:
    overlay = {"name": "carried to the next tick", "edgeColor": CARRY_COLOUR, "edges": edges}
    listed = [{"type": "edge_overlays", "name": "state", "overlays": [overlay]}]
    return {"edgeOverlaysDataListLeftPane": listed}
