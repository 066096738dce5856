"""Which flows the parts of a block take, in plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nestgraph.rewriting.document import Values

RATES = ("rate", "momentum", "retain", "step")
_NO_FLOW = ("sum", "mean")


def inputs_of(block: Values) -> list[str]:
    """Return the inputs of a block."""
    return list(block.get("inputs", ["x"]))


def listed(flows: str | list[str] | None) -> list[str]:
    """Return one flow or several as a list."""
    return [flows] if isinstance(flows, str) else list(flows or ())


def written_flows(memory: Values) -> Iterator[str]:
    """Yield the flows that one write of a memory takes."""
    values, rule = memory.get("values"), memory.get("rule", {})
    yield from listed(memory.get("keys"))
    yield from listed(values["self"] if isinstance(values, dict) else values)
    for field in RATES:
        yield from coefficient_flow(rule.get(field))
    objective, erase = memory.get("objective"), rule.get("erase")
    if isinstance(objective, dict):
        yield from coefficient_flow(objective.get("delta"))
    if isinstance(erase, dict):
        yield from listed(erase.get("key"))
        yield from coefficient_flow(erase.get("rate"))
    if rule.get("reduce", "sum") not in _NO_FLOW:
        yield rule["reduce"]


def coefficient_flow(given: Any) -> list[str]:
    """Return the flow of a rate; none for numbers."""
    if isinstance(given, dict):
        return [given["flow"]] if "flow" in given else []
    return [given] if isinstance(given, str) else []


def start_memory(memory: Values) -> str | None:
    """Return the memory that another one starts from."""
    init = memory.get("init")
    return init["memory"] if isinstance(init, dict) and init["kind"] == "from" else None
