"""Linear regression in context, on tokens that carry quantised numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nestgraph.evaluation.task import Batch, Split, Task, generator, require, task
from nestgraph.runtime.labels import IGNORED

MOST_BINS = 4096
SPREAD = 2.0  # answers beyond it, in units of their standard deviation, go into the last bin


@task("regression")
def regression(*, D: int = 2, N: int = 20, bins: int = 16) -> Task:
    """Answer a linear map from examples of it."""
    require(D >= 1, f"`D` (={D}) must be at least 1")
    require(N >= 2, f"`N` (={N}) must be at least 2", "the first example can't be foreseen")
    require(2 <= bins <= MOST_BINS, f"`bins` (={bins}) must be from 2 to {MOST_BINS}")

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("regression", D, N, bins, split, seed)
        w = torch.randn(rows, D, generator=source, dtype=torch.float64)
        x = torch.rand(rows, N, D, generator=source, dtype=torch.float64) * 2 - 1
        given = binned(x, bins)
        # The map sees the numbers that the tokens carry, so that these determine the answer.
        y = (value_of(given, bins) @ w[:, :, None])[:, :, 0] / math.sqrt(D / 3)
        answers = bins + binned(y / SPREAD, bins)
        tokens = torch.cat([given, answers[:, :, None]], 2).flatten(1)
        targets = torch.full_like(tokens, IGNORED)
        targets[:, D - 1 :: D + 1] = answers
        return Batch(tokens=tokens, targets=targets)

    return Task(
        name="regression",
        kind="context",
        doc=f"{N} examples of {D} numbers and a linear map of them, drawn a row; the map's answer.",
        vocab=2 * bins,
        context=N * (D + 1),
        metric="nats",
        higher=False,
        chance=math.log(bins),
        floor=0.0,
        stop=None,
        steps=2000,
        batch=64,
        rates=(1e-3, 3e-3, 1e-2),
        references=(),
        draw=draw,
    )


def binned(numbers: Tensor, bins: int) -> Tensor:
    """Return numbers from -1 to 1 as bins of one width; those beyond belong to the outer ones."""
    return ((numbers + 1) / 2 * bins).floor().long().clamp(0, bins - 1)


def value_of(tokens: Tensor, bins: int) -> Tensor:
    """Return the middle of each bin."""
    return (tokens.double() + 0.5) / bins * 2 - 1
