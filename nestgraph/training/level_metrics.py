"""What a person can read of the levels that learn while they read.

For each level, over all its memories and rows: how often it has moved, how large its states are,
how far the last move took them, and how surprised it was, which is the gradient that moved it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nestgraph.training.module import NestModule


def level_metrics(module: NestModule, state: Mapping[str, Any]) -> dict[str, float]:
    """Return numbers by `what/LEVEL`: updates, norm, moved, surprise; all root mean squares of
    norms.

    Args:
        module: a compiled model.
        state: behind the tokens that it has read.
    """
    model: Any = module.model
    found: dict[str, float] = {}
    for level, moves in model.moves(state).items():
        found[f"updates/{level}"] = float(moves.updates)
        found[f"norm/{level}"] = math.sqrt(moves.square)
        found[f"moved/{level}"] = math.sqrt(moves.moved)
        found[f"surprise/{level}"] = math.sqrt(moves.surprise)
    return found
