"""A row of a long-context task: a text in which needles are hidden, a question, and its answer.

Tokens are bytes. All rows of a length have exactly that many; a haystack begins in the middle of a
sentence if need be, and needles stand between sentences. The last needle that matters ends at least
`gap` bytes of haystack before the question, so that a window that is no wider can't see it.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from operator import itemgetter

import torch

from nestgraph.data import load_corpus
from nestgraph.evaluation.task import Batch, Split
from nestgraph.runtime.labels import IGNORED

FILLER = (
    b"The grass is green. ",
    b"The sky is blue. ",
    b"The sun is yellow. ",
    b"Here we go. ",
    b"There and back again. ",
)
SHORTEST = 10  # words of a sentence that is taken from a novel
PLACES = {Split.TRAIN: (0.0, 0.8), Split.TUNE: (0.8, 0.9), Split.TEST: (0.9, 1.0)}

Background = Callable[[int, random.Random], list[bytes]]
"""Sentences that are so many bytes together, of which the first may lack its beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Bytes of a row, and whether the model is asked for them."""

    text: bytes
    asked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Needles:
    """What a row hides and asks.

    Attributes:
        opening: of the row.
        hidden: sentences that keep the gap, in the order in which they stand.
        others: sentences that may stand anywhere, in any order.
        question: and answers, which end the row.
    """

    opening: bytes
    hidden: tuple[bytes, ...]
    question: tuple[Piece, ...]
    others: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all but the haystack."""
        asked = (piece.text for piece in self.question)
        return sum(map(len, (self.opening, *self.hidden, *self.others, *asked)))


def row(needles: Needles, T: int, gap: int, hay: Background, source: random.Random) -> list[Piece]:
    """Return the pieces of one row of T + 1 bytes.

    Args:
        needles: what is hidden and asked.
        T: tokens that the model reads.
        gap: bytes of haystack between the needles that keep it and the question.
        hay: what they are hidden in.
        source: of places and haystack.
    """
    room = T + 1 - needles.size
    assert room >= gap, f"{T} bytes hold {needles.size} and a haystack of {room}, not of {gap}"
    sentences = hay(room, source)
    begins = [0, *accumulate(map(len, sentences))]

    def cut(most: int) -> int:
        """Return a sentence that begins at `most` bytes or before; needles stand in front of it."""
        return bisect_right(begins, source.randint(0, most)) - 1

    places = sorted(cut(room - gap) for _ in needles.hidden)
    stand = [*zip(places, needles.hidden, strict=True), *((cut(room), t) for t in needles.others)]
    stand.sort(key=itemgetter(0))  # stable: hidden ones keep their order
    pieces, at = [needles.opening], 0
    for place, text in stand:
        pieces += [*sentences[at:place], text]
        at = place
    pieces += sentences[at:]
    return [Piece(text=b"".join(pieces)), *needles.question]


def batch(rows: Iterable[Sequence[Piece]], *, whole: bool = False) -> Batch:
    """Return rows of pieces, all of one length, as what is read and what is answered.

    Args:
        rows: pieces; the answers are those that are asked.
        whole: every byte is a label, as in training on text.
    """
    tokens, labels = [], []
    for pieces in rows:
        text = b"".join(piece.text for piece in pieces)
        asked = [piece.asked or whole for piece in pieces for _ in piece.text]
        tokens.append(list(text[:-1]))
        labels.append(
            [byte if scored else IGNORED for byte, scored in zip(text[1:], asked[1:], strict=True)]
        )
    return Batch(tokens=torch.tensor(tokens), targets=torch.tensor(labels))


def filler(size: int, source: random.Random) -> list[bytes]:
    """Return five short sentences over and over."""
    start = source.randrange(len(FILLER))
    found: list[bytes] = []
    while sum(map(len, found)) < size:
        found.append(FILLER[(start + len(found)) % len(FILLER)])
    return shortened(found, size)


def novels(split: Split) -> Background:
    """Return sentences of Jane Austen that follow each other; no two splits share any."""

    def hay(size: int, source: random.Random) -> list[bytes]:
        known = sentences(split)
        start, length = source.randrange(len(known)), 0
        found: list[bytes] = []
        while length < size:
            found.append(known[(start + len(found)) % len(known)])
            length += len(found[-1])
        return shortened(found, size)

    return hay


@cache
def sentences(split: Split) -> tuple[bytes, ...]:
    """Return sentences of ten words or more, each with a space behind it, in their order."""
    text = load_corpus("austen").text
    begin, end = (int(len(text) * share) for share in PLACES[split])
    words = b" ".join(text[begin:end].split())
    found = re.split(rb"(?<=[.!?])\s+(?=[A-Z])", words)[1:-1]  # those at the ends are parts
    return tuple(each + b" " for each in found if len(each.split()) >= SHORTEST)


def shortened(found: list[bytes], size: int) -> list[bytes]:
    """Return sentences without the first bytes that are more than `size`."""
    over = sum(map(len, found)) - size
    while found and over >= len(found[0]):
        over -= len(found.pop(0))
    return [found[0][over:], *found[1:]] if found else []
