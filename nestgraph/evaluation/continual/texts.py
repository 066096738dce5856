"""Texts of four authors and domains: plays, novels, an encyclopaedia, customers of a bank.

Of each text the beginning is learned from, a tenth before the end is for choosing rates, and the
end is scored; those made of sets of rows have the rows of each split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType

import torch
from torch import Tensor

from nestgraph.data import load_corpus
from nestgraph.data.labelled import Row, load_labelled
from nestgraph.evaluation.task import Batch, Draw, Split, generator


def _corpus(name: str, split: Split) -> bytes:
    corpus = load_corpus(name)
    cut = len(corpus.train) - len(corpus.validation)
    parts = {Split.TRAIN: corpus.train[:cut], Split.TUNE: corpus.train[cut:]}
    return parts.get(split, corpus.validation)


def _set(name: str, split: Split) -> bytes:
    rows: tuple[Row, ...] = getattr(load_labelled(name), split.value)
    order = torch.randperm(len(rows), generator=generator("domains", name, split)).tolist()
    return b"".join(rows[number].content + b"\n" for number in order)


DOMAINS: Mapping[str, Callable[[Split], bytes]] = MappingProxyType(
    {
        "shakespeare": partial(_corpus, "shakespeare"),
        "austen": partial(_corpus, "austen"),
        "encyclopaedia": partial(_set, "dbpedia14"),
        "customers": partial(_set, "banking77"),
    }
)


def mixed(parts: Sequence[Draw], split: Split, seed: int, rows: int) -> Batch:
    """Return rows of parts of one width in turn, in any order."""
    drawn = [part(split, seed, -(-rows // len(parts))) for part in parts]
    tokens, targets = (
        torch.cat([getattr(batch, name) for batch in drawn]) for name in ("tokens", "targets")
    )
    order = torch.randperm(len(tokens), generator=generator("mixed", split, seed))[:rows]
    return Batch(tokens=tokens[order], targets=targets[order])


def shuffled(tokens: Tensor, targets: Tensor, source: torch.Generator, rows: int) -> Batch:
    """Return so many of these rows (N, T) in any order, none twice until all were drawn."""
    rounds = range(-(-rows // len(tokens)))
    order = torch.cat([torch.randperm(len(tokens), generator=source) for _ in rounds])[:rows]
    return Batch(tokens=tokens[order], targets=targets[order])


def windows(name: str, T: int, split: Split, seed: int, rows: int) -> Batch:
    """Return stretches of a text, each byte of which is to be predicted from those before."""
    text = _text(name, split)
    source = generator("domains", name, T, split, seed)
    starts = torch.randint(len(text) - T, (rows, 1), generator=source)
    found = text[starts + torch.arange(T + 1)].long()
    return Batch(tokens=found[:, :-1].contiguous(), targets=found[:, 1:].contiguous())


@cache
def _text(name: str, split: Split) -> Tensor:
    return torch.frombuffer(bytearray(DOMAINS[name](split)), dtype=torch.uint8)
