"""`tie`: ops that share the parameters of another op of their block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nestgraph.elaborate.names import Names
from nestgraph.elaborate.nodes import Call
from nestgraph.errors import Span
from nestgraph.findings import did_you_mean, near_names, near_words, other_names
from nestgraph.language.system import Node, Read
from nestgraph.recovery.fixes import Cures, Drop, either

Part = Node | Read | Call


def tied(nodes: Mapping[str, Part], names: Names) -> dict[str, Part]:
    """Return the nodes, each `tie` replaced by the owner whose parameters are shared in the end."""
    owners = {
        part.owner: part
        for part in nodes.values()
        if isinstance(part, Node) and "." not in part.owner
    }
    ends: dict[str, str | None] = {}
    resolved: dict[str, Part] = {}
    for name, node in nodes.items():
        resolved[name] = node
        if isinstance(node, Node) and node.tie is not None:
            resolved[name] = replace(node, tie=_end(node, owners, ends, names))
    return resolved


def _end(
    node: Node, owners: Mapping[str, Node], ends: dict[str, str | None], names: Names
) -> str | None:
    """Return the op at the end of a chain of ties; `ends` remembers those already found."""
    chain: dict[str, Node] = {}
    other, end = node, None
    while other.owner not in ends:
        chain[other.owner] = other
        if other.tie is None:
            end = other.owner
            break
        span = other.spans.get("tie") or other.span
        after = owners.get(other.tie)
        if after is None or after.op != other.op:
            _no_such_op(other, owners, names, span)
            break
        if after.owner in chain:
            around = " -> ".join((*chain, after.owner))
            hint = "let one of them have its own parameters"
            message, cures = f"`tie` goes round in a circle: {around}", _untied(span)
            names.findings.add("NG210", message, span, hint, cures=cures)
            break
        other = after
    else:
        end = ends[other.owner]
    ends.update(dict.fromkeys(chain, end))
    return end


def _no_such_op(node: Node, owners: Mapping[str, Node], names: Names, span: Span | None) -> None:
    if not names.findings.helps:
        message, hint = f"`tie: {node.tie}` names no `{node.op}` here", "name one with the same op"
        names.findings.add("NG210", message, span, hint)
        return
    others = [owner for owner, part in owners.items() if part.op == node.op and part is not node]
    hint = did_you_mean(node.tie or "", others) or "name another node with the same op"
    choices = (*_untied(span).choices, *(other_names(span, others).choices if span else ()))
    near = near_words(node.tie or "", others)
    cures = near_names(span, node.tie or "", others) if span and near else Cures(choices)
    message = f"`tie: {node.tie}` names no `{node.op}` here"
    names.findings.add("NG210", message, span, hint, cures=cures)


def _untied(span: Span | None) -> Cures:
    return either([Drop(span)] if span is not None else [])
