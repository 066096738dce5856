"""Eight field languages, one after another: a sentence is read, and its English is answered.

A stand-in for the two languages of arXiv 2512.24695, whose texts can't be shipped. Rows have one
width, so that all are translated at once: the sentence at the end of its part, behind newlines,
then the separator, the English, and a newline. Pairs that are longer than the parts are left out.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from nestgraph.data.languages import Pair, languages, load_pairs
from nestgraph.evaluation.continual.settings import RATES, Moves, require_stream
from nestgraph.evaluation.continual.texts import mixed, shuffled
from nestgraph.evaluation.task import Batch, Split, Task, generator, require, task
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.tokens import PADDING

SEPARATOR = 256
END = ord("\n")


@task("languages")
def field_languages(
    *,
    S: int = 96,
    E: int = 96,
    tasks: int = 8,
    moves: Moves = "all",
    base: int = 1000,
    buffer: int = 1500,
    ewc: float = 100.0,
) -> Task:
    """Translate Kalamang, Arta, Bora, Matukar Panau, Nafsan, Sanzhi, Tabasaran and Teop."""
    require_stream(moves=moves, base=base, buffer=buffer, ewc=ewc)
    for name, size in (("S", S), ("E", E)):
        require(24 <= size <= 512, f"`{name}` (={size}) must be from 24 to 512 bytes")
    most = len(languages())
    require(2 <= tasks <= most, f"`tasks` (={tasks}) must be from 2 to {most}", "languages")
    parts = {name: partial(_draw, name, S, E) for name in languages()[:tasks]}
    return Task(
        name="languages",
        kind="continual",
        doc="A sentence of an endangered language, and its English; languages come one by one.",
        vocab=SEPARATOR + 1,
        context=S + 1 + E,
        metric="chrf",
        higher=True,
        chance=None,
        floor=1.0,
        stop=None,
        steps=500 * tasks,
        batch=16,
        rates=RATES[moves],
        references=(),
        draw=partial(mixed, list(parts.values())),
        rows=32,
        parts=parts,
    )


def _draw(language: str, S: int, E: int, split: Split, seed: int, rows: int) -> Batch:
    tokens, targets = _rows(language, S, E, split)
    source = generator("languages", language, S, E, split, seed)
    return shuffled(tokens, targets, source, rows)


@cache
def _rows(language: str, S: int, E: int, split: Split) -> tuple[Tensor, Tensor]:
    pairs: tuple[Pair, ...] = getattr(load_pairs(language), split.value)
    coded = [(pair.text.encode(), pair.english.encode() + bytes([END])) for pair in pairs]
    fitting = [(text, english) for text, english in coded if len(text) <= S and len(english) <= E]
    tokens = torch.full((len(fitting), S + 1 + E), PADDING)
    targets = torch.full_like(tokens, IGNORED)
    for number, (text, english) in enumerate(fitting):
        read = [*[END] * (S - len(text)), *text, SEPARATOR, *english[:-1]]
        tokens[number, : len(read)] = torch.tensor(read)
        targets[number, S : S + len(english)] = torch.tensor(list(english))
    return tokens, targets
