"""Sentences of eight endangered languages with English, from the field work of linguists.

A sentence belongs to a narrative, and narratives are held out whole: neighbouring sentences share
names and turns of phrase, so that a split by sentences would test what was learned by heart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

from nestgraph.data.shipped import manifest, read_shipped

SET = "field-languages"
DICTIONARY = "dictionaria"  # examples of a dictionary: no narrative, and always learned from
TENTH = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A sentence and what it means.

    Attributes:
        narrative: that it is from.
        text: in its language.
        english: its translation.
    """

    narrative: str
    text: str
    english: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """The sentences of a language.

    Attributes:
        language: its name.
        train: to learn from.
        tune: the last tenth of each narrative of `train`, not in it.
        test: narratives of which nothing else is used, a tenth of all sentences or a bit more.
    """

    language: str
    train: tuple[Pair, ...]
    tune: tuple[Pair, ...]
    test: tuple[Pair, ...]


def languages() -> tuple[str, ...]:
    """Return all languages, in the order in which they are learned."""
    return tuple(manifest()[SET]["rows"])


@cache
def load_pairs(language: str) -> Pairs:
    """Return the sentences of one of `languages`.

    Raises:
        InputError: the file is damaged (NG703).
    """
    lines = read_shipped(SET).decode().splitlines()[1:]
    fields = [line.split("\t") for line in lines]
    pairs = [
        Pair(narrative=_narrative(id_), text=text, english=english)
        for of, id_, text, english, _ in fields
        if of == language
    ]
    sizes = Counter(pair.narrative for pair in pairs)
    held = _held_out(sizes)
    places = Counter[str]()
    parts: dict[str, list[Pair]] = {"train": [], "tune": [], "test": []}
    for pair in pairs:
        places[pair.narrative] += 1
        late = places[pair.narrative] > sizes[pair.narrative] * (TENTH - 1) / TENTH
        parts["test" if pair.narrative in held else "tune" if late else "train"].append(pair)
    return Pairs(language=language, **{name: tuple(part) for name, part in parts.items()})


def _narrative(id_: str) -> str:
    """Return `multicast:mat:mat_0001` is of `mat`."""
    source, _, rest = id_.partition(":")
    return source if source == DICTIONARY else rest.partition(":")[0]


def _held_out(sizes: Counter[str]) -> set[str]:
    """Return the shortest narratives, until they are a tenth of all."""
    told = {name: size for name, size in sizes.items() if name != DICTIONARY}
    held: set[str] = set()
    for name in sorted(told, key=lambda name: (told[name], name)):
        if sum(told[each] for each in held) * TENTH >= sum(told.values()):
            break
        held.add(name)
    return held
