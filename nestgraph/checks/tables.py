"""Tables that are asked by position."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, node_rule
from nestgraph.language.system import Node


@node_rule("NG337")
def a_lookup_is_asked_by_position(scope: Scope, node: Node) -> Iterator[Finding]:
    """Check that a lookup, whose entries are numbered like positions, has one for each of a
    period.
    """
    if node.op != "lookup":
        return
    asked = scope.block.nodes.get(node.inputs[0])
    if not isinstance(asked, Node) or asked.op != "position":
        yield Finding(
            message=f"`{scope.label(node.name)}` looks up `{scope.label(node.inputs[0])}`, "
            "which is no `position`",
            hint="make the flow by `{op: position}`, perhaps with `since: level`",
            span=node.spans.get("in") or node.span,
        )
        return
    level = scope.system.clocks.get(str(asked.fields.get("since")))
    size = node.fields.get("size")
    if level is not None and isinstance(size, int) and size < level.period:
        yield Finding(
            message=f"`lookup` has {size} entries, but `{level.name}` counts "
            f"to {level.period}: the last entry would stand for all beyond it",
            hint=f"write `size: {level.period}`",
            span=node.spans.get("size") or node.span,
        )
