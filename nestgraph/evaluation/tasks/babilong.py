"""BABILong (arXiv 2406.10149): bAbI's stories scattered in novels, byte by byte.

The facts keep their order and stand between sentences of Jane Austen, all of them before the gap;
the question ends the row. The novels are PG19's there. Stories that are too long for a row are left
out. The answer is one word, and must be right to the letter, where BABILong looks for it among the
words that come.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache, partial
from typing import Literal

from nestgraph.data.stories import Question, load_questions
from nestgraph.evaluation.long.haystack import Needles, Piece, batch, novels, row
from nestgraph.evaluation.long.lengths import hiding, lengths_of, require_room
from nestgraph.evaluation.task import Batch, Split, Task, require, task

TUNED = 10  # every so manieth question of the training file is for choosing rates
ROOM = {1: 448, 2: 1024, 3: 3072}  # bytes of facts and question, without the longest stories
PLACES = 6  # that may be the answer of tasks 1 to 3


@task("babilong")
def babilong(
    *, qa: Literal["1", "2", "3"] = "1", T: int = 1024, gap: int = 256, shortest: int = 512
) -> Task:
    """Return where somebody or something is, by one, two or three facts in a novel."""
    require(qa in ("1", "2", "3"), f"`qa` (={qa}) must be 1, 2 or 3")
    size = ROOM[int(qa)]
    require_room(T, gap, shortest, size)

    def draw(T: int, gap: int, split: Split, seed: int, rows: int) -> Batch:
        source = random.Random(f"babilong/{qa}/{T}/{gap}/{split}/{seed}")
        known = _questions(int(qa), split)
        asked = [_needles(source.choice(known)) for _ in range(rows)]
        return batch(row(each, T, gap, novels(split), source) for each in asked)

    return hiding(
        name="babilong",
        doc="Facts of a bAbI story scattered in a novel; the answer is one of six places.",
        draw=partial(draw, T, gap),
        context=T,
        parts={f"T={n}": partial(draw, n, near) for n, near in lengths_of(T, gap, shortest, size)},
        chance=1 / PLACES,
    )


@cache
def _questions(qa: int, split: Split) -> Sequence[Question]:
    """Return the questions of a split whose stories are short enough."""
    known = load_questions(qa, "test" if split is Split.TEST else "train")
    if split is not Split.TEST:
        tuned = split is Split.TUNE
        known = tuple(q for n, q in enumerate(known) if (n % TUNED == TUNED - 1) == tuned)
    return [question for question in known if _needles(question).size <= ROOM[qa]]


def _needles(question: Question) -> Needles:
    return Needles(
        opening=b"",
        hidden=tuple(f"{fact} ".encode() for fact in question.facts),
        question=(
            Piece(text=f"{question.text} ".encode()),
            Piece(text=f"{question.answer}.".encode(), asked=True),
        ),
    )
