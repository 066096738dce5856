"""Task memories on token clocks in tests: their outer gradients, lively models, pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nestgraph.language.system import System
from nestgraph.reference import Reference

WAYS = [
    ("full", "never"),
    ("first_order", "never"),
    ("none", "never"),
    ("first_order", "fast"),
    ("none", "fast"),
]
"""What outer gradients see of the writes, and at which level's ticks they end."""


def outspoken(system: System, seed: int) -> Reference:
    """Return a model so sure of its answers that its losses move the memories by much.

    At 12 times its first weights each memory moves by a norm of 0.08 and more. At 20 times some
    seeds turn chaotic: outer gradients reach 1e12, and rounding spreads to 1e-6 of them.
    """
    reference = Reference(system, seed=seed)
    with torch.no_grad():
        reference.weights.get_parameter("embed.weight").mul_(12)
        reference.weights.get_parameter("head.weight").mul_(12)
    return reference


def in_pieces(model: Callable[..., Any], tokens: Tensor, piece: int) -> tuple[Tensor, Any]:
    """Return logits of tokens (batch, time), `piece` of them at a time, and the state behind
    them.
    """
    state, logits = None, []
    for part in tokens.split(piece, 1):
        answer = model(part, state)
        logits.append(answer.logits)
        state = answer.state
    return torch.cat(logits, 1), state
