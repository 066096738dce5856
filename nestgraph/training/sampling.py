"""Choosing the next token from scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nestgraph.errors import InputError

LOWEST = 1e-20  # still a number in float32


class Sample(NamedTuple):
    """One step of generation.

    Attributes:
        tokens: the chosen token of each row, (rows,).
        state: the model's state before it met these tokens; feed them first to go on. Where rows
            stand at different positions, `generate` and `stream` alone go on from it.
    """

    tokens: Tensor
    state: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Taste:
    """How tokens are chosen.

    Attributes:
        temperature: 0 always takes the likeliest token.
        top_k: choose among the best so many only.
        generator: source of the choices.
    """

    temperature: float = 1.0
    top_k: int | None = None
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(
                "NG741",
                f"temperature (={self.temperature}) must be 0 (always the likeliest) or more",
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError("NG741", f"top-k (={self.top_k}) must be 1 or more")


def choose(scores: Tensor, taste: Taste) -> Tensor:
    """Return one token for each row of scores (rows, vocab).

    Raises:
        InputError: when the scores are infinite or no numbers.
    """
    if not scores.isfinite().all():
        raise InputError(
            "NG742", "the model's scores are not finite numbers", "its training went wrong"
        )
    if taste.temperature == 0:
        return scores.argmax(dim=-1)
    vocab = scores.shape[-1]
    values, tokens = scores.topk(min(taste.top_k or vocab, vocab), dim=-1)
    # Relative to the best score, so that no temperature is too low; below the floor it is 0.
    relative = (values - values[..., :1]) / max(taste.temperature, LOWEST)
    odds = torch.softmax(relative, dim=-1)
    picked = torch.multinomial(odds, 1, generator=taste.generator)
    return tokens.gather(-1, picked).squeeze(-1)
