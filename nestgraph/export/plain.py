"""Nodes and edges of a graph with values that any format can hold: texts, numbers, truth values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nestgraph.display.wording import plain
from nestgraph.errors import Span

if TYPE_CHECKING:
    from nestgraph.graph.spec_graph import SpecGraph

Value = str | int | float | bool
Values = dict[str, Value]


def plain_nodes(graph: SpecGraph) -> Iterator[tuple[str, Values]]:
    """Yield each node with what is known of it."""
    for node, data in graph.nodes(data=True):
        yield safe(node), plain_values(data)


def plain_edges(graph: SpecGraph) -> Iterator[tuple[str, str, str, Values]]:
    """Yield each edge: source, target, key, and what is known of it."""
    for source, target, key, data in graph.edges(keys=True, data=True):
        yield safe(source), safe(target), safe(key), plain_values(data)


def plain_values(data: Mapping[str, Any]) -> Values:
    """Return attributes without nesting: `fields.out`, and `file`, `line` and `column` for a
    place.
    """
    return dict(_flat(data))


def safe(text: object) -> str:
    """Return text without the characters that neither XML nor a terminal may hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}"
                   for c in str(text))  # fmt: skip


def _flat(data: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for name, value in data.items():
        if value is None:
            continue
        if isinstance(value, Span):
            yield from (("file", safe(value.file)), ("line", value.line), ("column", value.column))
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{key}", inner) for key, inner in _flat(value))
        elif isinstance(value, bool | int | float):
            yield name, value
        else:
            yield name, safe(plain(value))
