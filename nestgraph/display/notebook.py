"""How specs, graphs and diffs show themselves in a notebook.

A notebook asks objects for HTML behind the author's back, so nothing here ever raises: what can't
be shown richly is shown as text (`nestgraph.display.html_text.bundle`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nestgraph.display.html_text import boxed, bundle, escaped, safely, table

if TYPE_CHECKING:
    from nestgraph.comparison.changes import Diff
    from nestgraph.graph.spec_graph import SpecGraph
    from nestgraph.language.spec import Spec
    from nestgraph.language.system import System

Bundle = dict[str, str]
LEVELS = ("rank", "level", "moves", "memories", "parameters", "state", "FLOPs a token")
CLASSES = {"+": "added", "-": "removed", "~": "changed"}


def bundle_of_spec(spec: Spec) -> Bundle:
    """Return its levels as a table and as a picture."""
    return bundle(spec, _spec_html)


def bundle_of_graph(graph: SpecGraph) -> Bundle:
    """Return how many nodes and edges of each kind it has, and the picture of its spec."""
    return bundle(graph, _graph_html)


def bundle_of_diff(diff: Diff) -> Bundle:
    """Return its text, coloured by what became of each thing."""
    return bundle(diff, _diff_html, str)


def level_table(system: System) -> str:
    """Return the levels with what they cost, as HTML."""
    from nestgraph.analysis.costs import level_costs
    from nestgraph.display.wording import count, size

    rows = [
        (
            row.rank,
            row.name,
            row.period,
            len(row.memories) + len(row.optimizer),
            f"{cost.parameters:,}",
            size(cost.state_bytes),
            count(cost.flops),
        )
        for row, cost in level_costs(system)
    ]
    return table(LEVELS, rows)


def picture(system: System) -> str:
    """Return the picture of the levels as SVG to stand inside a page; empty where it can't be
    drawn.
    """
    from nestgraph.viz import draw

    drawn = safely(lambda: str(draw(system)))
    return "" if drawn is None else drawn[drawn.index("<svg") :]


def _spec_html(spec: Spec) -> str:
    system = spec.system
    title = f"<b>{escaped(system.name)}</b> {escaped(system.doc)}"
    return boxed(title, level_table(system), picture(system))


def _graph_html(graph: SpecGraph) -> str:
    nodes = _counted(data.get("kind") for _, data in graph.nodes(data=True))
    edges = _counted(data.get("kind") for _, _, data in graph.edges(data=True))
    rows = [("nodes", len(graph), nodes), ("edges", graph.number_of_edges(), edges)]
    title = f"<b>{escaped(graph.graph.get('name', 'graph'))}</b>"
    system = graph.graph.get("system")
    drawn = "" if system is None else picture(system)
    return boxed(title, table(("", "count", "of kind"), rows), drawn)


def _diff_html(diff: Diff) -> str:
    return boxed("<pre>", "\n".join(map(_coloured, str(diff).splitlines())), "</pre>")


def _counted(kinds: Iterable[object]) -> str:
    counts = sorted(Counter(map(str, kinds)).items())
    return ", ".join(f"{kind} {count}" for kind, count in counts)


def _coloured(line: str) -> str:
    kind = CLASSES.get(line.strip()[:1])
    text = escaped(line)
    return text if kind is None else f'<span class="{kind}">{text}</span>'
