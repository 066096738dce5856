"""Text byte by byte: as it is, in copies, and as what optimizers are compared on.

The first nine tenths of a text are for training; the last tenth of these chooses rates, and is
trained on by nobody. What is left is read for scores only.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor

from nestgraph.data import VOCAB, load_corpus
from nestgraph.evaluation.task import (
    Batch,
    Draw,
    Kind,
    Reference,
    Split,
    Task,
    generator,
    require,
    task,
)
from nestgraph.runtime.labels import IGNORED
from nestgraph.training.batches import as_tokens

Name = Literal["shakespeare", "austen"]
TRAIN_SHARE = 0.9  # of the training text; the rest chooses rates
LONGEST = 16384
BATCH = 12
NANO = "nanoGPT's README, its CPU setting: 4 layers, width 128, 2,000 steps"


@task("text")
def text(*, data: Name = "shakespeare", T: int = 64) -> Task:
    """Return the next byte of a text."""
    return _of_text("text", "text", f"Windows of {T} bytes of {data}; the next byte.", data, T)


@task("optimizers")
def optimizers(*, data: Name = "shakespeare", T: int = 64) -> Task:
    """Return optimizers, by what `transformer-tiny` learns with them."""
    doc = f"Optimizers that train transformer-tiny on windows of {T} bytes of {data}."
    return _of_text("optimizers", "optimizer", doc, data, T)


@task("copies")
def copies(
    *,
    data: Name = "shakespeare",
    L: int = 64,
    K: int = 4,
    train: Literal["text", "copies"] = "text",
) -> Task:
    """Return what each copy of a passage costs."""
    _require(L * K, "L * K")
    require(K >= 2, f"`K` (={K}) must be at least 2", "one copy repeats nothing")
    require(L >= 2, f"`L` (={L}) must be at least 2")

    def draw(first: int, split: Split, seed: int, rows: int) -> Batch:
        source = _part(data, split)
        if split is Split.TRAIN and train == "text":
            return _windows(source, L * K, split, seed, rows)
        starts = _starts(len(source) - L, split, seed, rows)
        passages = source[starts[:, None] + torch.arange(L)].long()
        whole = passages.repeat(1, K)
        targets = whole.roll(-1, 1)
        place = (torch.arange(L * K) + 1) // L  # the copy to which a label belongs
        wrong = (place == K) | ((place != first) & (split is not Split.TRAIN))
        return Batch(tokens=whole, targets=targets.masked_fill(wrong, IGNORED))

    def of(copy: int) -> Draw:
        return partial(draw, copy)

    learned = f"Windows of {L * K} bytes of {data} to learn from"
    taught = learned if train == "text" else "Copies to learn from"
    return Task(
        name="copies",
        kind="context",
        doc=f"{taught}; then a passage of {L} bytes, {K} times: the loss on each copy.",
        vocab=VOCAB,
        context=L * K,
        metric="nats",
        higher=False,
        chance=math.log(VOCAB),
        floor=0.0,
        stop=None,
        steps=2000,
        batch=BATCH,
        rates=(1e-3, 3e-3),
        references=(),
        draw=of(K - 1),
        rows=256,
        parts={f"copy {copy + 1}": of(copy) for copy in range(K - 1)},
    )


def _of_text(name: str, kind: Kind, doc: str, data: Name, T: int) -> Task:
    _require(T, "T")
    published = Reference(model="nanoGPT", value=1.88, source=NANO)
    return Task(
        name=name,
        kind=kind,
        doc=doc,
        vocab=VOCAB,
        context=T,
        metric="nats",
        higher=False,
        chance=math.log(VOCAB),
        floor=None,
        stop=None,
        steps=2000,
        batch=BATCH,
        rates=(1e-3, 3e-3, 1e-2),
        references=(published,) if (data, T) == ("shakespeare", 64) else (),
        draw=_drawing(data, T),
        rows=_windows_in(data, T),
    )


def _drawing(data: Name, T: int) -> Draw:
    return lambda split, seed, rows: _windows(_part(data, split), T, split, seed, rows)


def _windows(source: Tensor, T: int, split: Split, seed: int, rows: int) -> Batch:
    starts = _starts(len(source) - T, split, seed, rows)
    windows = source[starts[:, None] + torch.arange(T + 1)].long()
    return Batch(tokens=windows[:, :-1], targets=windows[:, 1:])


def _starts(choices: int, split: Split, seed: int, rows: int) -> Tensor:
    """Return places anywhere for training; else spread evenly over all of the text, the seed
    aside.
    """
    if split is Split.TRAIN:
        return torch.randint(choices, (rows,), generator=generator("text", split, seed))
    return torch.linspace(0, choices - 1, rows, dtype=torch.float64).long()


@cache
def _whole(data: Name) -> tuple[Tensor, Tensor, Tensor]:
    corpus = load_corpus(data)
    cut = int(len(corpus.train) * TRAIN_SHARE)
    parts = (corpus.train[:cut], corpus.train[cut:], corpus.validation)
    train, tune, test = (as_tokens(part) for part in parts)
    return train, tune, test


def _part(data: Name, split: Split) -> Tensor:
    train, tune, test = _whole(data)
    return {Split.TRAIN: train, Split.TUNE: tune, Split.TEST: test}[split]


def _windows_in(data: Name, T: int) -> int:
    """Return windows that cover the test text; a little of some is read twice, and nothing left
    out.
    """
    return -(-(len(_part(data, Split.TEST)) - 1) // T)


def _require(T: int, name: str) -> None:
    require(2 <= T <= LONGEST, f"`{name}` (={T}) must be from 2 to {LONGEST}")
