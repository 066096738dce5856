"""Classes that come group by group: CLINC150, Banking77, DBpedia-14 and digits.

A row is the bytes of a text or an image, a separator, and behind it the label as one token; all
classes share one softmax. A longer text loses its end. `draw` mixes all groups, as joint training
does; `parts` has them one by one, in the order in which they are learned.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise

import torch
from torch import Tensor

from nestgraph.data.labelled import Row, load_labelled
from nestgraph.evaluation.continual.settings import RATES, Moves, require_stream
from nestgraph.evaluation.continual.texts import shuffled
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
from nestgraph.runtime.tokens import PADDING

SEPARATOR = 256
FIRST_LABEL = SEPARATOR + 1
OWN = "MLP of 2 x 400 units on {}, Adam 1e-3, {} epochs, one seed"
WORDS = "hashed 1- and 2-grams of words and 3-grams of letters"


@task("clinc150")
def clinc150(
    *,
    T: int = 64,
    tasks: int = 10,
    moves: Moves = "all",
    base: int = 1000,
    buffer: int = 1500,
    ewc: float = 100.0,
) -> Task:
    """Return intents of CLINC150, fifteen by fifteen (arXiv 1909.02027)."""
    require_stream(moves=moves, base=base, buffer=buffer, ewc=ewc)
    known = _references(WORDS, 6, joint=0.8749, replay=0.6071, mean=0.8056, naive=0.0251)
    return _task("clinc150", T, tasks, sizes=(15,) * 10, known=known, steps=4000, moves=moves)


@task("banking77")
def banking77(
    *,
    T: int = 96,
    tasks: int = 7,
    moves: Moves = "all",
    base: int = 1000,
    buffer: int = 1500,
    ewc: float = 100.0,
) -> Task:
    """Return intents of Banking77, eleven by eleven (arXiv 2003.04807)."""
    require_stream(moves=moves, base=base, buffer=buffer, ewc=ewc)
    known = _references(WORDS, 8, joint=0.8825, replay=0.7396, mean=0.7727, naive=0.1182)
    return _task("banking77", T, tasks, sizes=(11,) * 7, known=known, steps=2800, moves=moves)


@task("dbpedia14")
def dbpedia14(
    *,
    T: int = 128,
    tasks: int = 7,
    moves: Moves = "all",
    base: int = 1000,
    buffer: int = 1500,
    ewc: float = 100.0,
) -> Task:
    """Return classes of DBpedia-14, two by two: a substitute for the 70 classes of arXiv
    2512.24695.
    """
    require_stream(moves=moves, base=base, buffer=buffer, ewc=ewc)
    known = _references(WORDS, 5, joint=0.9152, replay=0.4909, mean=0.8396, naive=0.0723)
    return _task("dbpedia14", T, tasks, sizes=(2,) * 7, known=known, steps=1400, moves=moves)


@task("digits")
def digits(
    *,
    T: int = 65,
    tasks: int = 5,
    moves: Moves = "all",
    base: int = 0,
    buffer: int = 500,
    ewc: float = 100.0,
) -> Task:
    """Return digits of 8 x 8 pixels, two by two; needs scikit-learn."""
    require(base == 0, f"`base` (={base}) must be 0", "texts don't help with pixels")
    require_stream(moves=moves, base=base, buffer=buffer, ewc=ewc)
    known = _references("pixels", 20, joint=0.9743, replay=0.9325, mean=0.9018, naive=0.19)
    return _task("digits", T, tasks, sizes=(2,) * 5, known=known, steps=1000, moves=moves)


def _task(
    name: str,
    T: int,
    tasks: int,
    *,
    sizes: tuple[int, ...],
    known: tuple[Reference, ...],
    steps: int,
    moves: Moves,
) -> Task:
    require(2 <= T <= 4096, f"`T` (={T}) must be from 2 to 4096", "a separator needs one position")
    most = len(sizes)
    require(2 <= tasks <= most, f"`tasks` (={tasks}) must be from 2 to {most}", "groups of classes")
    ends = [sum(sizes[:count]) for count in range(tasks + 1)]
    whole = ends[-1]
    return Task(
        name=name,
        kind="continual",
        doc="Bytes, a separator, and the label behind it; classes come in groups.",
        vocab=FIRST_LABEL + whole,
        context=T,
        metric="accuracy",
        higher=True,
        chance=1 / whole,
        floor=1.0,
        stop=None,
        steps=steps * tasks // most,
        batch=32,
        rates=RATES[moves],
        references=known if tasks == most else (),
        draw=partial(_draw, name, T, 0, whole),
        rows=256,
        parts={f"classes {a}-{b - 1}": _part(name, T, a, b) for a, b in pairwise(ends)},
    )


def _part(name: str, T: int, first: int, end: int) -> Draw:
    return partial(_draw, name, T, first, end)


def _draw(name: str, T: int, first: int, end: int, split: Split, seed: int, rows: int) -> Batch:
    """Return rows of the labels from `first` to below `end`: none twice until all were drawn."""
    tokens, targets = _rows(name, T, first, end, split)
    return shuffled(tokens, targets, generator(name, T, first, end, split, seed), rows)


@cache
def _rows(name: str, T: int, first: int, end: int, split: Split) -> tuple[Tensor, Tensor]:
    """Return all rows of these labels, (N, T) each."""
    found = load_labelled(name)
    rows: tuple[Row, ...] = getattr(found, split.value)
    some = [row for row in rows if first <= row.label < end]
    tokens, targets = torch.full((len(some), T), PADDING), torch.full((len(some), T), IGNORED)
    for number, row in enumerate(some):
        read = [*row.content[: T - 1], SEPARATOR]
        tokens[number, : len(read)] = torch.tensor(read)
        targets[number, len(read) - 1] = FIRST_LABEL + row.label
    return tokens, targets


def _references(features: str, epochs: int, **found: float) -> tuple[Reference, ...]:
    names = {"mean": "nearest class mean"}
    source = OWN.format(features, epochs)
    return tuple(
        Reference(model=names.get(name, name), value=value, source=source)
        for name, value in found.items()
    )
