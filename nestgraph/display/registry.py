"""Displays of specs, graphs and diffs in a notebook, found by name when a notebook asks for one.

What draws them lies far above the types that are drawn, and is imported no earlier.
"""

from __future__ import annotations

from importlib import import_module

_DISPLAYS = {
    "spec": "nestgraph.display.notebook:bundle_of_spec",
    "graph": "nestgraph.display.notebook:bundle_of_graph",
    "diff": "nestgraph.display.notebook:bundle_of_diff",
}


def display(kind: str, shown: object) -> dict[str, str]:
    """Return what a notebook shows of an object: texts by their MIME type.

    Args:
        kind: `spec`, `graph` or `diff`.
        shown: the object of that kind.
    """
    module, function = _DISPLAYS[kind].split(":")
    found: dict[str, str] = getattr(import_module(module), function)(shown)
    return found
