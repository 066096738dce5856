"""The pass key (Mohtashami and Jaggi, arXiv 2305.16300), byte by byte and with a short opening."""

from __future__ import annotations

import random
from functools import partial

from nestgraph.evaluation.long.haystack import Needles, Piece, batch, filler, row
from nestgraph.evaluation.long.lengths import hiding, lengths_of, require_room
from nestgraph.evaluation.task import Batch, Split, Task, task

OPENING = b"There is an important info hidden inside a lot of irrelevant text. Find it. "
QUESTION = b"What is the pass key? The pass key is "
LARGEST = 50_000  # of the keys, the smallest of which is 1
LONGEST = len(str(LARGEST))


@task("passkey")
def passkey(*, T: int = 1024, gap: int = 512, shortest: int = 256, text: bool = False) -> Task:
    """Tell a number of one to five digits that stood far before."""
    size = _needles(random.Random(0), b"9" * LONGEST).size
    require_room(T, gap, shortest, size)

    def draw(T: int, gap: int, split: Split, seed: int, rows: int) -> Batch:
        source = random.Random(f"passkey/{T}/{gap}/{split}/{seed}")
        drawn = [_row(T, gap, source) for _ in range(rows)]
        return batch(drawn, whole=text and split is Split.TRAIN)

    return hiding(
        name="passkey",
        doc="A key is told in a text of five sentences over and over, and asked at its end.",
        draw=partial(draw, T, gap),
        context=T,
        parts={f"T={n}": partial(draw, n, near) for n, near in lengths_of(T, gap, shortest, size)},
        chance=1 / LARGEST,
    )


def _row(T: int, gap: int, source: random.Random) -> list[Piece]:
    return row(_needles(source, b"%d" % source.randint(1, LARGEST)), T, gap, filler, source)


def _needles(source: random.Random, key: bytes) -> Needles:
    told = b"The pass key is %b. Remember it. %b is the pass key. " % (key, key)
    question = (Piece(text=QUESTION), Piece(text=key + b".", asked=True))
    return Needles(opening=OPENING, hidden=(told,), question=question)
