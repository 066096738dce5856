"""Copying what stood before: a block over and over, and the token that once followed a sign."""

from __future__ import annotations

import math

import torch

from nestgraph.evaluation.task import Batch, Split, Task, generator, require, task
from nestgraph.evaluation.tasks.mqar import recalling
from nestgraph.runtime.labels import IGNORED

RATES = (1e-3, 3e-3, 5e-3)


@task("repeat-copy")
def repeat_copy(*, S: int = 16, T: int = 64, shortest: int = 12, longest: int = 24) -> Task:
    """Return a random block again and again."""
    require(S >= 2, f"`S` (={S}) must be at least 2", "one symbol alone says nothing")
    fits = 1 <= shortest <= longest
    require(fits, f"`shortest` (={shortest}) must be from 1 to `longest` (={longest})")
    said = f"`T` (={T}) must be at least `longest` (={longest})"
    require(longest <= T, said, "the first copy isn't scored, so a row needs more than it")

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("repeat-copy", S, T, shortest, longest, split, seed)
        period = torch.randint(shortest, longest + 1, (rows, 1), generator=source)
        block = torch.randint(S, (rows, longest), generator=source)
        at = torch.arange(T + 1)
        whole = block.gather(1, at % period)
        labels = whole[:, 1:].masked_fill(at[1:] < period, IGNORED)
        return Batch(tokens=whole[:, :-1], targets=labels)

    return Task(
        name="repeat-copy",
        kind="recall",
        doc="A random block of symbols over and over; what comes next from its second copy on.",
        vocab=S,
        context=T,
        metric="nats",
        higher=False,
        chance=math.log(S),
        floor=0.0,
        stop=0.001,
        steps=600,
        batch=32,
        rates=RATES,
        references=(),
        draw=draw,
    )


@task("induction")
def induction(*, T: int = 64, S: int = 16) -> Task:
    """Return what once followed a sign."""
    require(S >= 2, f"`S` (={S}) must be at least 2", "one symbol alone says nothing")
    require(T >= 3, f"`T` (={T}) must be at least 3: a sign, what follows it, and the sign again")

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("induction", S, T, split, seed)
        tokens = torch.randint(S, (rows, T), generator=source)
        at = torch.randint(T - 2, (rows, 1), generator=source)
        tokens = tokens.scatter(1, at, S)
        tokens[:, -1] = S
        targets = torch.full((rows, T), IGNORED)
        targets[:, -1:] = tokens.gather(1, at + 1)
        return Batch(tokens=tokens, targets=targets)

    return recalling(
        name="induction",
        doc="Random symbols and, once among them and at the end, a sign; what followed it then.",
        vocab=S + 1,
        context=T,
        chance=1 / S,
        draw=draw,
        rates=RATES,
    )
