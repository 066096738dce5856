"""What nothing asks for any more goes: nodes, memories, inputs of inner blocks, levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nestgraph.rewriting.document import Values
from nestgraph.rewriting.wiring import inputs_of, listed, start_memory, written_flows

BUILT_IN = ("token", "step", "never")


def pruned(block: Values, *, inner: bool) -> Values:
    """Return a block with only what its output needs.

    Args:
        block: its plain values.
        inner: whether other blocks call it, so that it may lose inputs.
    """
    used = _used(block)
    nodes = {name: node for name, node in block.get("nodes", {}).items() if name in used}
    memories = {name: one for name, one in block.get("memories", {}).items() if name in used}
    left = {**block, "memories": memories, "nodes": _retied(nodes, block.get("nodes", {}))}
    inputs = [name for name in inputs_of(block) if name in used] or inputs_of(block)[:1]
    if inner and inputs != inputs_of(block):
        left["inputs"] = inputs
    return left


def fewer_flows(call: Values, before: Values, after: Values) -> Values:
    """Return the call of a block that takes fewer inputs than it did.

    Args:
        call: the node.
        before: the block as it was called.
        after: as it is now.
    """
    given = dict(zip(inputs_of(before), listed(call["in"]), strict=True))
    kept = [given[name] for name in inputs_of(after)]
    return {**call, "in": kept[0] if len(kept) == 1 else kept}


def needed_horizon(values: Values) -> Values:
    """Return the model, less its horizon where no memory learns from the task on tokens any
    more.
    """
    clocks = {"step": "step", **values.get("levels", {})}
    memories = [one for block in values["blocks"].values() for one in _memories(block)]
    levels = [one.get("level", "token") for one in memories if _is_task(one)]
    if any("step" not in clocks.get(level, level) for level in levels):
        return dict(values["model"])
    return {key: value for key, value in values["model"].items() if key != "horizon"}


def used_levels(values: Values) -> dict[str, str]:
    """Return the declared levels that blocks and the model's horizon still name."""
    named = set(_levels(values["blocks"])) | {values["model"].get("horizon")}
    return {name: clock for name, clock in values.get("levels", {}).items() if name in named}


def _memories(block: Values) -> list[Values]:
    return [*block.get("memories", {}).values()]


def _is_task(memory: Values) -> bool:
    objective = memory.get("objective")
    return (objective["kind"] if isinstance(objective, dict) else objective) == "task"


def _levels(tree: Any) -> Iterator[str]:
    """Yield every word that may name a level, wherever it stands."""
    if isinstance(tree, list):
        for one in tree:
            yield from _levels(one)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("level", "reset", "since") and isinstance(value, str):
                yield value
            else:
                yield from _levels(value)


def _used(block: Values) -> set[str]:
    """Return the flows and memories that the output needs, itself among them."""
    nodes, memories = block.get("nodes", {}), block.get("memories", {})
    used: set[str] = set()
    todo = [block.get("output", "out")]
    while todo:
        name = todo.pop()
        if name in used:
            continue
        used.add(name)
        if name in nodes:
            todo += _taken(nodes[name])
        if name in memories:
            todo += written_flows(memories[name])
            todo += listed(start_memory(memories[name]))
    return used


def _taken(node: Values) -> list[str]:
    """Return the flows and the memory that a node takes."""
    return [*listed(node.get("in")), *listed(node.get("query")), *listed(node.get("read"))]


def _retied(kept: Mapping[str, Values], before: Mapping[str, Values]) -> dict[str, Values]:
    """Return nodes whose `tie` names a node that is left: the first of those that shared with
    it.
    """
    owners: dict[str, str] = {}
    nodes: dict[str, Values] = {}
    for name, node in kept.items():
        origin = _origin(name, before)
        if origin == name or "tie" not in node:
            nodes[name] = node
        elif origin in kept:
            nodes[name] = {**node, "tie": origin}
        elif origin in owners:
            nodes[name] = {**node, "tie": owners[origin]}
        else:
            owners[origin] = name
            nodes[name] = _owning(node, before[origin])
    return nodes


def _owning(node: Values, origin: Values) -> Values:
    """Return a node that holds the parameters which it shared until now, and starts them as they
    did.
    """
    own = {key: value for key, value in node.items() if key not in ("tie", "init")}
    return {**own, **({"init": origin["init"]} if "init" in origin else {})}


def _origin(name: str, nodes: Mapping[str, Values]) -> str:
    """Return the node at the end of a chain of ties."""
    while "tie" in nodes[name]:
        name = nodes[name]["tie"]
    return name
