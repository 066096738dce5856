"""The needles of RULER (arXiv 2404.06654), byte by byte, in the novels of Jane Austen.

RULER's essays can't be shipped, and its opening and question are longer. Several values are asked
in the order in which they stand, and all must be right, where RULER takes the mean of those that
an answer contains.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from nestgraph.evaluation.long.haystack import (
    Background,
    Needles,
    Piece,
    batch,
    filler,
    novels,
    row,
    shortened,
)
from nestgraph.evaluation.long.lengths import hiding, lengths_of, require_room
from nestgraph.evaluation.task import Batch, Reference, Split, Task, require, task
from nestgraph.findings import listed

OPENING = b"Special magic numbers are hidden in this text. "
PAPER = "table 1 of arXiv 2512.24695, at 4K tokens of text, 760M parameters trained on text"
ADJECTIVES = (
    *("amber", "brave", "calm", "clever", "cold", "dusty", "early", "faint", "gentle", "golden"),
    *("hollow", "humble", "idle", "jolly", "keen", "late", "lucky", "merry", "noisy", "odd"),
    *("pale", "proud", "quick", "quiet", "rare", "rough", "sharp", "silent", "slow", "small"),
    *("steep", "tidy", "vague", "vivid", "warm", "wet", "wild", "wise", "young", "zealous"),
)
NOUNS = (
    *("anchor", "apple", "basket", "beacon", "bottle", "bridge", "candle", "carpet", "castle"),
    *("cloud", "copper", "desert", "engine", "feather", "ferry", "garden", "hammer", "harbor"),
    *("island", "jacket", "kettle", "ladder", "lantern", "marble", "meadow", "mirror", "needle"),
    *("orchard", "paper", "pepper", "pillow", "river", "saddle", "shovel", "spoon", "stable"),
    *("thunder", "tunnel", "violin", "window"),
)
SHAPE = (8, 4, 4, 4, 12)  # hexadecimal digits of a UUID

Word = Callable[[random.Random], str]


def number(source: random.Random) -> str:
    """Return seven digits."""
    return str(source.randint(10**6, 10**7 - 1))


def phrase(source: random.Random) -> str:
    """Return an adjective and a noun, such as `calm-river`."""
    return f"{source.choice(ADJECTIVES)}-{source.choice(NOUNS)}"


def uuid(source: random.Random) -> str:
    """Return a UUID, such as 5fb2cf01-78de-4ee9-90c5-c5b58e1ff4aa."""
    return "-".join("".join(source.choices("0123456789abcdef", k=count)) for count in SHAPE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One of RULER's needle tasks.

    Attributes:
        doc: what is hidden in what.
        key: how keys look.
        value: how values look.
        others: keys that are hidden and not asked.
        asked: keys.
        values: of each key.
        hay: `filler`, `novels`, or `needles` of other keys.
        published: what models of the paper reach, in percent.
    """

    doc: str
    key: Word = phrase
    value: Word = number
    others: int = 0
    asked: int = 1
    values: int = 1
    hay: str = "novels"
    published: tuple[tuple[str, float], ...] = ()

    @property
    def nouns(self) -> str:
        """Return what values are called."""
        return "uuids" if self.value is uuid else "numbers"


KINDS = {
    "S1": Kind(
        doc="One number in five sentences over and over",
        hay="filler",
        published=(("Transformer", 88.6), ("RWKV-7", 100), ("Titans", 100), ("Hope", 100)),
    ),
    "S2": Kind(
        doc="One number in a novel",
        published=(("Transformer", 100), ("RWKV-7", 93.8), ("Titans", 99.6), ("Hope", 99.2)),
    ),
    "S3": Kind(
        doc="One UUID in a novel",
        value=uuid,
        published=(("Transformer", 78.0), ("RWKV-7", 63.8), ("Titans", 74.2), ("Hope", 73.2)),
    ),
    "MK1": Kind(
        doc="Four numbers in a novel, of which one is asked",
        others=3,
        published=(("Transformer", 79.4), ("RWKV-7", 21.4), ("Titans", 26.4), ("Hope", 29.4)),
    ),
    "MK2": Kind(doc="One number among numbers of other keys", hay="needles"),
    "MK3": Kind(
        doc="One UUID among UUIDs whose keys are UUIDs too", key=uuid, value=uuid, hay="needles"
    ),
    "MV": Kind(
        doc="Four numbers of one key in a novel",
        values=4,
        published=(("Transformer", 37.5), ("RWKV-7", 16.2), ("Titans", 24.6), ("Hope", 31.4)),
    ),
    "MQ": Kind(
        doc="Numbers of four keys in a novel",
        asked=4,
        published=(("Transformer", 58.9), ("RWKV-7", 20.4), ("Titans", 22.8), ("Hope", 31.7)),
    ),
}


@task("niah")
def niah(
    *,
    kind: Literal["S1", "S2", "S3", "MK1", "MK2", "MK3", "MV", "MQ"] = "S1",
    T: int = 1024,
    gap: int = 256,
    shortest: int = 512,
    text: bool = False,
) -> Task:
    """Return needles in a haystack, in one of RULER's eight kinds."""
    require(kind in KINDS, f"`kind` (={kind}) must be {listed(KINDS, 'or')}")
    chosen = KINDS[kind]
    size = _longest(chosen)
    require_room(T, gap, shortest, size)

    def draw(T: int, gap: int, split: Split, seed: int, rows: int) -> Batch:
        source = random.Random(f"niah/{kind}/{T}/{gap}/{split}/{seed}")
        drawn = [_row(chosen, T, gap, split, source) for _ in range(rows)]
        return batch(drawn, whole=text and split is Split.TRAIN)

    return hiding(
        name="niah",
        doc=f"{chosen.doc}; all that is asked must be right.",
        draw=partial(draw, T, gap),
        context=T,
        parts={f"T={n}": partial(draw, n, near) for n, near in lengths_of(T, gap, shortest, size)},
        chance=None,
        references=tuple(
            Reference(model=model, value=percent / 100, source=PAPER)
            for model, percent in chosen.published
        ),
    )


def _row(kind: Kind, T: int, gap: int, split: Split, source: random.Random) -> list[Piece]:
    keys = _keys(kind, source)
    return row(_needles(kind, keys, source), T, gap, _hay(kind, keys, split), source)


def _keys(kind: Kind, source: random.Random) -> list[str]:
    """Return different keys: those asked, then the others."""
    found: dict[str, None] = {}
    while len(found) < kind.asked + kind.others:
        found[kind.key(source)] = None
    return list(found)


def _needles(kind: Kind, keys: Sequence[str], source: random.Random) -> Needles:
    asked, others = keys[: kind.asked], keys[kind.asked :]
    told = [(key, kind.value(source)) for key in asked for _ in range(kind.values)]
    what = "is" if len(told) == 1 else "are all"
    names = " and ".join(filter(None, (", ".join(asked[:-1]), asked[-1])))
    plural = kind.nouns[: len(kind.nouns) - (len(told) == 1)]
    answers = [Piece(text=f"What {what} the special magic {plural} for {names}? ".encode())]
    for number, (_, value) in enumerate(told):
        answers += [Piece(text=b", " if number else b""), Piece(text=value.encode(), asked=True)]
    return Needles(
        opening=OPENING,
        hidden=tuple(_told(kind, key, value) for key, value in told),
        others=tuple(_told(kind, key, kind.value(source)) for key in others),
        question=(*answers, Piece(text=b".", asked=True)),
    )


def _told(kind: Kind, key: str, value: str) -> bytes:
    return f"One of the special magic {kind.nouns} for {key} is: {value}. ".encode()


def _hay(kind: Kind, keys: Sequence[str], split: Split) -> Background:
    if kind.hay == "novels":
        return novels(split)
    return filler if kind.hay == "filler" else partial(_other_needles, kind, keys)


def _other_needles(
    kind: Kind, keys: Sequence[str], size: int, source: random.Random
) -> list[bytes]:
    found: list[bytes] = []
    length = 0
    while length < size:
        key = kind.key(source)
        if key not in keys:
            found.append(_told(kind, key, kind.value(source)))
            length += len(found[-1])
    return shortened(found, size)


def _longest(kind: Kind) -> int:
    """Return bytes of all but the haystack, at the most."""
    source = random.Random(0)
    words = "-".join(max(names, key=len) for names in (ADJECTIVES, NOUNS))
    keys = [words if kind.key is phrase else uuid(source)] * (kind.asked + kind.others)
    return _needles(kind, keys, source).size
