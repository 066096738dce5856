"""Nodes, memories, blocks and clocks that stand in for one that is missing or unusable.

Of each a few that have little in common: several widths, some fit for models and some for
optimizers, so that hardly anything is true of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from nestgraph.recovery.fixes import Known

Flow: TypeAlias = str | Known
WIDTHS = (1, 7, 840)
CLOCKS = ("1 tokens", "8 steps", "16 tokens", "never", "7 tokens", "1 steps")
FLOWS = tuple(Known("flow", index) for index in range(4))  # whichever the block has


def nodes(flows: Sequence[Flow]) -> list[dict[str, Any]]:
    """Return nodes that take one of some flows, the first of which the block is given."""
    first, others = flows[0], flows[1:4]
    return [
        {"op": "tanh", "in": first},
        {"op": "linear", "in": first},
        *({"op": "linear", "in": first, "out": out} for out in WIDTHS),
        {"op": "transpose", "in": first},
        {"op": "identity", "in": first},
        *({"op": "tanh", "in": flow} for flow in others),
    ]


def memories(flows: Sequence[Flow]) -> list[dict[str, Any]]:
    """Return memories that are written with some flows."""
    first, second = flows[0], flows[min(1, len(flows) - 1)]
    step = {"net": "vector", "level": "step"}
    return [
        {"keys": first, "values": first},
        {"keys": second, "values": first},
        {"net": "vector", "values": first},
        {"net": "attention", "keys": first, "values": second},
        {"objective": "task"},
        {**step, "values": first, "init": "zero"},
        {**step, "values": second, "init": "zero"},
        {**step, "objective": "task", "rule": {"rate": second}, "init": "given"},
    ]


def blocks() -> list[dict[str, Any]]:
    """Return blocks that take one flow."""
    return [{"nodes": {"out": {"op": op, "in": "x"}}} for op in ("linear", "tanh")]
