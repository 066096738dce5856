"""Rates off: the spec as it is, with memories that never move.

Each memory keeps its fields and what feeds them, so that it has the same parameters and costs as
much; only its rates are 0 and its retention is 1. Attention has neither, and stays as it is. A last
layer that starts at 0, for a write to move, starts like the others: where a map of zeros stands
behind it, nothing else would ever move either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec
from nestgraph.rewriting.blocks import Place, rewritten
from nestgraph.rewriting.document import Values
from nestgraph.rewriting.static import alive, inner_memories
from nestgraph.rewriting.wiring import coefficient_flow


def rates_off(spec: Spec) -> Spec:
    """Return the spec whose inner memories stay as they start, whatever they read.

    Args:
        spec: a model.

    Raises:
        InputError: NG955, for an optimizer, or when no memory learns by a rate.
    """
    if all(memory.net.kind == "attention" for memory in inner_memories(spec)):
        message = f"no memory of `{spec.system.name}` learns in context by a rate"
        raise InputError("NG955", message, "only memories that are no attention have rates")
    doc = "inner rates are 0"
    return rewritten(spec, _off, suffix="rates-off", doc=doc, prune=False)


def _off(block: Values, place: Place) -> Values:
    memories = dict(block.get("memories", {}))
    switch = _Switch(block)
    for name in memories:
        known = place.memory(name)
        if not known.is_step_group and known.net.kind != "attention":
            memory = memories[name]
            memories[name] = {**memory, "rule": switch.rule(memory.get("rule", {}))}
            if known.init.last == 0:
                memories[name]["init"] = alive(memory["init"], known)
    return {**block, "memories": memories, "nodes": {**block.get("nodes", {}), **switch.nodes}}


class _Switch:
    """Rules that change nothing.

    Attributes:
        nodes: flows of 0 and of 1 that stand in for those that the rules took.
    """

    def __init__(self, block: Values) -> None:
        self.nodes: dict[str, Values] = {}
        self.taken = {*block.get("nodes", {}), *block.get("memories", {})}
        self.taken |= {*block.get("inputs", ["x"])}
        self.held: dict[tuple[str, int], str] = {}

    def rule(self, rule: Mapping[str, Any]) -> Values:
        """Return a rule with rates of 0 and a retention of 1."""
        new = {"rate": self._held(rule.get("rate"), 0)}
        if "retain" in rule:
            new["retain"] = self._held(rule["retain"], 1)
        new = {**new, **rule, **new}  # the rate stays first
        erase = rule.get("erase")
        if isinstance(erase, dict) and ("rate" in erase or "key" in erase):
            new["erase"] = {**erase, "rate": self._held(erase.get("rate"), 0)}
        return new

    def _held(self, given: Any, number: int) -> Any:
        """Return a rate that is always one number; a flow is still asked for, and then is that
        number.
        """
        flows = coefficient_flow(given)
        if not flows:
            return number
        key = (flows[0], number)
        if key not in self.held:
            self.held[key] = self._free(f"{flows[0]}_{'off' if number == 0 else 'kept'}")
            node = {"op": "affine", "in": flows[0], "scale": 0, "shift": number}
            self.nodes[self.held[key]] = node
        return {**given, "flow": self.held[key]} if isinstance(given, dict) else self.held[key]

    def _free(self, name: str) -> str:
        """Return a name that nothing in the block has."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name
