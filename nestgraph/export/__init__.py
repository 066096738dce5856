"""The graph of a spec in the formats of other programs.

* `node-link`: the JSON of networkx, which reads it back by `node_link_graph(data, edges="edges")`.
* `graphml`: XML for yEd, Gephi, Cytoscape.
* `model-explorer`: JSON for Google's viewer of large models.

Each is a function from a graph to text; what it may hold is decided in `nestgraph.export.plain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.errors import InputError
from nestgraph.export.graphml import graphml
from nestgraph.export.model_explorer import model_explorer
from nestgraph.export.node_link import node_link
from nestgraph.findings import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from nestgraph.graph.spec_graph import SpecGraph

WRITERS: Mapping[str, Callable[[SpecGraph], str]] = {
    "node-link": node_link,
    "graphml": graphml,
    "model-explorer": model_explorer,
}
ENDINGS = {".json": "node-link", ".graphml": "graphml"}


def exported(graph: SpecGraph, form: str) -> str:
    """Return the graph as text.

    Args:
        graph: of a spec.
        form: one of `WRITERS`.
    """
    return WRITERS[form](graph)


def form_of(path: Path) -> str:
    """Return the format that a file's ending names.

    Raises:
        InputError: when it names none.
    """
    form = ENDINGS.get(path.suffix.lower())
    if form is None:
        hint = f"end it in {listed(ENDINGS, 'or')}, or give `--format`"
        raise InputError("NG807", f"the ending of `{path}` names no format to export to", hint)
    return form
