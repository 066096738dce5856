"""Short texts and small images with one label each, in groups of classes that come one by one.

A row is bytes: of a text in UTF-8, of an image a byte for each pixel.
Rates are chosen on `tune`: CLINC150 has such rows, of the others every tenth training row of a
class is kept for it.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType

from nestgraph.data.shipped import read_shipped
from nestgraph.errors import InputError

TENTH = 10
DIGITS_TRAIN = 1400  # of 1,797 images, the first; the others are for tests


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What is read, and the class that it is of."""

    content: bytes
    label: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """A set of rows with labels.

    Attributes:
        name: of the set.
        classes: names, by label.
        groups: labels that are learned together; each label is in one of them.
        train: rows to learn from.
        tune: rows to choose rates on.
        test: rows to score.
    """

    name: str
    classes: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    train: tuple[Row, ...]
    tune: tuple[Row, ...]
    test: tuple[Row, ...]


@cache
def load_labelled(name: str) -> Labelled:
    """Return the set of that name, one of `LABELLED`.

    Raises:
        InputError: a file of it is damaged (NG703), or a package that holds it isn't installed
            (NG809).
    """
    return LABELLED[name]()


def clinc150() -> Labelled:
    """Return CLINC150 without the queries outside of all intents: 150 intents in ten domains."""
    domains: dict[str, list[str]] = json.loads(read_shipped("clinc150-domains"))
    classes = tuple(intent for intents in domains.values() for intent in intents)
    lines = read_shipped("clinc150").decode().splitlines()[1:]
    rows = [(split, text, intent) for split, intent, text in (line.split("\t") for line in lines)]
    parts = {
        split: _rows(((text, intent) for part, text, intent in rows if part == split), classes)
        for split in ("train", "val", "test")
    }
    return Labelled(
        name="clinc150",
        classes=classes,
        groups=_groups(classes, len(classes) // len(domains)),
        train=parts["train"],
        tune=parts["val"],
        test=parts["test"],
    )


def banking77() -> Labelled:
    """Return Banking77: 77 intents, in seven groups of eleven by their names."""
    tables = [_table(read_shipped(f"banking77-{part}"))[1:] for part in ("train", "test")]
    classes = tuple(sorted({intent for _, intent in tables[0]}))
    return _with_tune("banking77", classes, 11, *(_rows(table, classes) for table in tables))


def dbpedia14() -> Labelled:
    """Return DBpedia-14, 5,000 rows to learn from and 5,000 to score: fourteen classes in seven
    pairs.
    """
    lines = read_shipped("dbpedia14-classes").decode().splitlines()[:14]
    classes = tuple(line.partition(": ")[2] for line in lines)
    parts = [
        tuple(
            Row(content=text.encode(), label=int(number) - 1)
            for number, text in _table(read_shipped(f"dbpedia14-{part}5k"))
        )
        for part in ("val", "test")
    ]
    return _with_tune("dbpedia14", classes, 2, *parts)


def digits() -> Labelled:
    """Return handwritten digits of 8 x 8 pixels from scikit-learn, each pixel 0 to 16, in five
    pairs.
    """
    if find_spec("sklearn") is None:
        raise InputError(
            "NG809",
            "the digits come with scikit-learn, which is not installed",
            "pip install 'nestgraph[eval]', or '.[eval]' in a checkout",
        )
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rows = tuple(
        Row(content=bytes(map(int, pixels)), label=int(label))
        for pixels, label in zip(images, labels, strict=True)
    )
    classes = tuple(map(str, range(10)))
    return _with_tune("digits", classes, 2, rows[:DIGITS_TRAIN], rows[DIGITS_TRAIN:])


LABELLED: Mapping[str, Callable[[], Labelled]] = MappingProxyType(
    {"clinc150": clinc150, "banking77": banking77, "dbpedia14": dbpedia14, "digits": digits}
)


def _with_tune(
    name: str, classes: tuple[str, ...], group: int, train: Sequence[Row], test: Sequence[Row]
) -> Labelled:
    """Keep every tenth row of a class for `tune`."""
    seen: Counter[int] = Counter()
    parts: tuple[list[Row], list[Row]] = ([], [])
    for row in train:
        seen[row.label] += 1
        parts[seen[row.label] % TENTH == 0].append(row)
    return Labelled(
        name=name,
        classes=classes,
        groups=_groups(classes, group),
        train=tuple(parts[0]),
        tune=tuple(parts[1]),
        test=tuple(test),
    )


def _groups(classes: Sequence[str], size: int) -> tuple[tuple[int, ...], ...]:
    starts = range(0, len(classes), size)
    return tuple(tuple(range(start, start + size)) for start in starts)


def _rows(pairs: Iterable[Sequence[str]], classes: Sequence[str]) -> tuple[Row, ...]:
    labels = {name: label for label, name in enumerate(classes)}
    return tuple(Row(content=text.encode(), label=labels[name]) for text, name in pairs)


def _table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))
