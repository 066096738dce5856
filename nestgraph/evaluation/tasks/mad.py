"""Six tasks after MAD (Poli et al., arXiv 2403.17844), at reduced sizes and with fresh rows.

What differs from MAD: rows are half as long or less, there is one size of each instead of seven
difficulties, training rows are drawn anew at each step (those of memorization come from 256 rows,
as there), and accuracy is over all labels, not a mean over classes. Compression has no decoder of
its own: the model itself is asked for each place, so that attention may look back.
"""

from __future__ import annotations

import random

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
from nestgraph.evaluation.tasks.mqar import distinct, recalling
from nestgraph.runtime.labels import IGNORED

MAP_SEED, MAP_ROWS = 12345, 256  # of memorization
SOURCE = "DeltaNet (arXiv 2406.06484), mean over MAD's sizes at full size; only the order compares"
PAPER = "Nested Learning (arXiv 2512.24695), table 4, own protocol at full size"
PUBLISHED = {
    "compression": {"Transformer": 51.6, "Mamba": 52.7, "DeltaNet": 42.2, "RWKV-7": 44.5},
    "fuzzy-recall": {"Transformer": 29.8, "Mamba": 6.7, "DeltaNet": 35.7, "RWKV-7": 43.2},
    "recall": {"Transformer": 94.1, "Mamba": 90.4, "DeltaNet": 100, "RWKV-7": 100},
    "memorization": {"Transformer": 85.2, "Mamba": 89.5, "DeltaNet": 52.8, "RWKV-7": 89.1},
    "noisy-recall": {"Transformer": 86.8, "Mamba": 90.1, "DeltaNet": 100, "RWKV-7": 100},
    "selective-copying": {"Transformer": 99.6, "Mamba": 86.3, "DeltaNet": 100, "RWKV-7": 98.8},
}
HOPE = {"compression": 51.2, "fuzzy-recall": 52.1, "selective-copying": 99.7, "memorization": 85.2}


@task("mad-recall")
def recall(*, T: int = 64, V: int = 16) -> Task:
    """Return values of keys that come again."""
    _require_pairs(T, V)
    doc = "Random pairs of a key and a value, the same within a row; values of keys seen before."
    return _task("recall", doc, T, V, _pairs_of("recall", T, V, noise=0, share=0.0), 2 / V)


@task("mad-noisy-recall")
def noisy_recall(*, T: int = 64, V: int = 32, noise: int = 16, share: float = 0.2) -> Task:
    """Return the same, with noise among the pairs."""
    require(0 < share < 1, f"`share` (={share}) must be between 0 and 1")
    require(noise >= 1, f"`noise` (={noise}) must be at least 1")
    _require_pairs(T, V - noise)
    doc = "Pairs as in mad-recall, some of them replaced by two tokens of noise."
    draw = _pairs_of("noisy-recall", T, V, noise=noise, share=share)
    return _task("noisy-recall", doc, T, V, draw, 2 / (V - noise))


@task("mad-fuzzy-recall")
def fuzzy_recall(*, T: int = 64, V: int = 16) -> Task:
    """Return keys and values of several tokens."""
    require(V >= 5, f"`V` (={V}) must be at least 5")
    require(T >= 24, f"`T` (={T}) must be at least 24, for two pairs of the longest kind")

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = random.Random(f"mad-fuzzy-recall/{T}/{V}/{split}/{seed}")
        drawn = [_fuzzy(source, T, V, split) for _ in range(rows)]
        tokens, targets = zip(*drawn, strict=True)
        return Batch(tokens=torch.tensor(tokens), targets=torch.tensor(targets))

    doc = "Keys and values of one to three tokens; the value of a key that comes again at the end."
    return _task("fuzzy-recall", doc, T, V, draw, None)


@task("mad-memorization")
def memorization(*, T: int = 32, V: int = 256) -> Task:
    """Return a map that never changes."""
    require(V >= 4, f"`V` (={V}) must be at least 4")
    require(T >= 2 and T % 2 == 0, f"`T` (={T}) must be even and at least 2")
    half, insert = (V - 1) // 2, V - 1
    table = half + torch.randperm(half, generator=generator("mad-memorization", MAP_SEED))

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("mad-memorization", T, V, split, seed)
        keys = torch.randint(half, (rows, T // 2), generator=source)
        if split is Split.TRAIN:
            whole = generator("mad-memorization", T, V, split)
            known = torch.randint(half, (MAP_ROWS, T // 2), generator=whole)
            keys = known[torch.randint(MAP_ROWS, (rows,), generator=source)]
        tokens = torch.stack([keys, torch.full_like(keys, insert)], 2).flatten(1)
        targets = torch.stack([torch.full_like(keys, IGNORED), table[keys]], 2).flatten(1)
        return Batch(tokens=tokens, targets=targets)

    doc = "Keys, each followed by a sign at which its value is due, the same in all rows."
    return _task("memorization", doc, T, V, draw, 1 / half)


@task("mad-compression")
def compression(*, N: int = 16, V: int = 16) -> Task:
    """Return everything again, place by place."""
    require(N >= 1, f"`N` (={N}) must be at least 1")
    require(V >= 2, f"`V` (={V}) must be at least 2")

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("mad-compression", N, V, split, seed)
        tokens = torch.randint(V, (rows, N), generator=source)
        asked = torch.arange(V + 1, V + 1 + N).expand(rows, N)
        sign = torch.full((rows, 1), V)
        targets = torch.cat([torch.full((rows, N + 1), IGNORED), tokens], 1)
        return Batch(tokens=torch.cat([tokens, sign, asked], 1), targets=targets)

    doc = "Random tokens, a sign, then each place by its number; the token that stood there."
    return _task("compression", doc, 2 * N + 1, V + 1 + N, draw, 1 / V)


@task("mad-selective-copying")
def selective_copying(*, T: int = 64, N: int = 8, V: int = 16) -> Task:
    """Return tokens among blanks, in their order."""
    require(V >= 4, f"`V` (={V}) must be at least 4: two tokens, the blank and the sign")
    require(N >= 1, f"`N` (={N}) must be at least 1")
    least = 2 * N + 1
    require(least <= T, f"`T` (={T}) must be at least {least}, for {N} tokens twice and the sign")
    blank, sign = V - 2, V - 1

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator("mad-selective-copying", T, N, V, split, seed)
        wanted = torch.randint(V - 2, (rows, N), generator=source)
        begin = T - N - 1
        at = distinct(source, rows, 0, begin, N).sort(1).values
        tokens = torch.full((rows, T), blank).scatter(1, at, wanted)
        tokens[:, begin] = sign
        targets = torch.full((rows, T), IGNORED)
        targets[:, begin + 1 :] = wanted
        return Batch(tokens=tokens, targets=targets)

    doc = "Tokens among blanks, a sign, then blanks at which the tokens are due in their order."
    return _task("selective-copying", doc, T, V, draw, 1 / (V - 2))


def _task(name: str, doc: str, T: int, V: int, draw: Draw, chance: float | None) -> Task:
    found = [
        Reference(model=model, value=value / 100, source=SOURCE)
        for model, value in PUBLISHED[name].items()
    ]
    if name in HOPE:
        found.append(Reference(model="Hope", value=HOPE[name] / 100, source=PAPER))
    return recalling(
        name=f"mad-{name}",
        doc=doc,
        vocab=V,
        context=T,
        chance=chance,
        references=tuple(found),
        draw=draw,
    )


def _require_pairs(T: int, V: int) -> None:
    require(V >= 4 and V % 2 == 0, f"there must be an even number of tokens, not {V}, from 4 on")
    require(T >= 4 and T % 2 == 0, f"`T` (={T}) must be even and at least 4")


def _pairs_of(name: str, T: int, V: int, *, noise: int, share: float) -> Draw:
    """Return rows of pairs: labels where a key comes again; in training, at every next token."""
    half = (V - noise) // 2

    def draw(split: Split, seed: int, rows: int) -> Batch:
        source = generator(f"mad-{name}", T, V, noise, share, split, seed)
        keys = torch.randint(half, (rows, T // 2), generator=source)
        values = half + torch.randint(half, (rows, half), generator=source)
        noisy = torch.rand(rows, T // 2, generator=source) < share
        noisy[:, 0] = False
        noisy[:, -1] = False
        keys[:, -1] = keys[:, 0]  # one pair at least comes again
        found = torch.stack([keys, values.gather(1, keys)], 2)
        if noise:
            blank = V - noise + torch.randint(noise, found.shape, generator=source)
            found = torch.where(noisy[:, :, None], blank, found)
        tokens = found.flatten(1)
        if split is Split.TRAIN:
            targets = torch.cat([tokens[:, 1:], torch.full((rows, 1), IGNORED)], 1)
            return Batch(tokens=tokens, targets=targets)
        again = _again(keys, noisy)
        labels = torch.stack([found[:, :, 1], torch.full_like(keys, IGNORED)], 2)
        return Batch(
            tokens=tokens,
            targets=labels.masked_fill(~again[:, :, None], IGNORED).flatten(1),
        )

    return draw


def _again(keys: Tensor, noisy: Tensor) -> Tensor:
    """Return which pairs (rows, pairs) are no noise, and have a key of one before that is none."""
    same = (keys[:, :, None] == keys[:, None, :]) & ~noisy[:, None, :] & ~noisy[:, :, None]
    return same.tril(-1).any(2)


def _fuzzy(source: random.Random, T: int, V: int, split: Split) -> tuple[list[int], list[int]]:
    """Return one row and its labels, filled up in front.

    The last pair is one of those before. Keys have three tokens where they are scored.
    """
    half, pad = (V - 1) // 2, V - 1
    longest = 3

    def word(low: int, fixed: bool) -> tuple[int, ...]:
        size = longest if fixed else source.randint(1, longest)
        return tuple(low + source.randrange(half) for _ in range(size))

    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    row: list[int] = []
    while len(row) + 4 * longest <= T:
        key = word(0, split is not Split.TRAIN)
        row += [*key, *known.setdefault(key, word(half, False))]
    key = source.choice(list(known))
    row += [*key, *known[key]]
    labels = [IGNORED] * (len(row) - len(known[key])) + list(known[key])
    shifted = [*labels[1:], IGNORED]
    if split is Split.TRAIN:
        shifted = [*row[1:], IGNORED]
    before = T - len(row)
    return [*[pad] * before, *row], [*[IGNORED] * before, *shifted]
