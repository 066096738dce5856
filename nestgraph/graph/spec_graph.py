"""The type of a spec's graph, in a file of its own because networkx takes long to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from nestgraph.display.registry import display

if TYPE_CHECKING:
    Base = nx.MultiDiGraph[str]
else:
    Base = nx.MultiDiGraph


class SpecGraph(Base):
    """A `networkx.MultiDiGraph` that shows itself in a notebook."""

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return display("graph", self)
