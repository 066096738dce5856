"""Recall of pairs by their keys: MQAR as zoology defines it, and MQAR with keys assigned anew.

A row is K pairs of a key and a value, and then each key once more, on even positions among fillers;
at a key that is asked the answer is its value. Gaps of queries follow a power law: of the slots
behind the pairs, the i-th is chosen with a probability of i^(a - 1), none twice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.evaluation.task import (
    Batch,
    Draw,
    Reference,
    Split,
    Task,
    generator,
    require,
    task,
)
from nestgraph.runtime.labels import IGNORED

FILLER = 0
RATES = (1e-3, 3e-3, 1e-2)
OWN = "two layers without MLPs, width 64, convolutions of width 4, 10,000 rows, lr 3e-3, one seed"
PUBLISHED = "zoology, figure 2 (arXiv 2312.04927), read off the plot to within 0.03; V=8192"


@task("mqar")
def mqar(
    *,
    T: int = 64,
    K: int = 4,
    V: int = 256,
    a: float = 0.01,
    random_non_queries: bool = False,
) -> Task:
    """Return multi-query associative recall (arXiv 2312.04927)."""
    _require(T, K, V, a, values=K)

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("mqar", T, K, V, a, split, seed)
        keys, values = distinct(source, rows, 1, V // 2, K), distinct(source, rows, V // 2, V, K)
        batch = asked(source, pairs(keys, values), keys, values, T, a)
        return _filled(source, batch, V) if random_non_queries else batch

    return recalling(
        name="mqar",
        doc="K pairs of a key and a value, then each key once more; the answer is its value.",
        vocab=V,
        context=T,
        chance=1 / K,
        references=_references(T, K, V),
        draw=draw,
    )


@task("forgetting-mqar")
def forgetting_mqar(*, T: int = 64, K: int = 8, U: int = 4, V: int = 256, a: float = 0.01) -> Task:
    """Return MQAR of which U keys get another value before they are asked."""
    require(1 <= U <= K, f"`U` (={U}) must be from 1 to K (={K})", "keys are assigned anew once")
    _require(T, K, V, a, values=K + U)

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("forgetting-mqar", T, K, U, V, a, split, seed)
        keys = distinct(source, rows, 1, V // 2, K)
        values = distinct(source, rows, V // 2, V, K + U)
        first, new = values[:, :K], values[:, K:]
        which = distinct(source, rows, 0, K, U)
        written = torch.cat([pairs(keys, first), pairs(keys.gather(1, which), new)], 1)
        return asked(source, written, keys, first.scatter(1, which, new), T, a)

    return recalling(
        name="forgetting-mqar",
        doc="MQAR in which U of the keys get a new value before all are asked; the last counts.",
        vocab=V,
        context=T,
        chance=1 / K,
        draw=draw,
    )


def recalling(
    *,
    name: str,
    doc: str,
    vocab: int,
    context: int,
    chance: float | None,
    draw: Draw,
    rates: tuple[float, ...] = RATES,
    references: tuple[Reference, ...] = (),
) -> Task:
    """Return a task of single answers that stood in the row, or in rows before."""
    return Task(
        name=name,
        kind="recall",
        doc=doc,
        vocab=vocab,
        context=context,
        metric="accuracy",
        higher=True,
        chance=chance,
        floor=1.0,
        stop=0.999,
        steps=2000,
        batch=64,
        rates=rates,
        references=references,
        draw=draw,
    )


def distinct(source: torch.Generator, rows: int, low: int, high: int, count: int) -> Tensor:
    """Return numbers from `low` to below `high` (rows, count), none twice in a row, all orders
    alike.
    """
    return torch.rand(rows, high - low, generator=source).argsort(1)[:, :count] + low


def pairs(keys: Tensor, values: Tensor) -> Tensor:
    """Return keys and values (rows, K) in turn: (rows, 2 K)."""
    return torch.stack([keys, values], 2).flatten(1)


def asked(
    source: torch.Generator, written: Tensor, keys: Tensor, values: Tensor, T: int, a: float
) -> Batch:
    """Return rows that begin with what is written; behind it each key is asked once, in any order.

    Args:
        source: of the gaps.
        written: (rows, even) the beginning of each row.
        keys: (rows, K) what is asked.
        values: (rows, K) the answers.
        T: length of a row; an odd last position stays a filler.
        a: of the power law of the gaps; 1 draws all alike.
    """
    rows, begin = written.shape
    slots = (T - begin) // 2
    law = torch.arange(1, slots + 1, dtype=torch.float64) ** (a - 1)
    gaps = torch.multinomial(law.expand(rows, -1), keys.shape[1], generator=source)
    tokens = torch.full((rows, T), FILLER)
    tokens[:, :begin] = written
    at = begin + 2 * gaps
    targets = torch.full((rows, T), IGNORED).scatter(1, at, values)
    return Batch(tokens=tokens.scatter(1, at, keys), targets=targets)


def _filled(source: torch.Generator, batch: Batch, V: int) -> Batch:
    """Return any tokens in place of fillers."""
    noise = torch.randint(V, batch.tokens.shape, generator=source)
    tokens = torch.where(batch.tokens == FILLER, noise, batch.tokens)
    return Batch(tokens=tokens, targets=batch.targets)


def _require(T: int, K: int, V: int, a: float, *, values: int) -> None:
    require(K >= 1, f"`K` (={K}) must be at least 1")
    require(V % 2 == 0 and V >= 4, f"`V` (={V}) must be even and at least 4")
    most = V // 2 - 1  # keys; one is the filler
    require(most >= K, f"`K` (={K}) must be at most V / 2 - 1 (={most})", "give a larger `V`")
    room = f"`V` (={V}) has {V // 2} values, and a row needs {values}"
    require(values <= V // 2, room, "give a larger `V`")
    require(T % 2 == 0, f"`T` (={T}) must be even", "keys stand on even positions")
    least = 2 * (values + K)
    require(least <= T, f"`T` (={T}) must be at least {least}, for pairs and queries")
    require(0 < a <= 10, f"`a` (={a}) must be above 0 and at most 10", "1 draws all gaps alike")


def _references(T: int, K: int, V: int) -> tuple[Reference, ...]:
    if (T, V) != (64, 256) or K not in (4, 16):
        return ()
    found = {
        4: (("softmax attention", 0.999), ("linear attention", 0.947), ("DeltaNet", 0.999)),
        16: (("softmax attention", 1.0), ("linear attention", 0.078), ("DeltaNet", 0.992)),
    }
    own = tuple(Reference(model=name, value=value, source=OWN) for name, value in found[K])
    return (*own, *_of_zoology()) if K == 4 else own


def _of_zoology() -> tuple[Reference, ...]:
    found = (("attention", 1.0), ("H3", 0.93), ("RWKV", 0.76), ("BaseConv", 0.70), ("Hyena", 0.52))
    return tuple(Reference(model=name, value=value, source=PUBLISHED) for name, value in found)
