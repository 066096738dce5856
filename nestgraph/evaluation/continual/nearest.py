"""The nearest class mean: no net at all, and nothing that could be forgotten.

A text is the counts of its words, pairs of words and triples of letters, hashed to 2,048 places and
brought to length 1; an image its pixels. A class is the mean of its rows, and a row is of the class
whose mean is nearest. Later classes change none that came before: only the choice becomes larger.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.data.labelled import Labelled, Row, load_labelled
from nestgraph.evaluation.task import Split

PLACES = 2048
IMAGES = ("digits",)


def scores(name: str, tasks: int, split: Split) -> list[list[float]]:
    """Return R of the nearest class mean, as shares that are right.

    Args:
        name: of a labelled set.
        tasks: how many of its groups come, one by one.
        split: that is scored.

    Raises:
        InputError: the set is damaged or not installed (NG703, NG809).
    """
    found = load_labelled(name)
    features, labels = _coded(found, found.train)
    means = torch.stack([features[labels == each].mean(0) for each in range(len(found.classes))])
    rows: tuple[Row, ...] = getattr(found, split.value)
    asked, wanted = _coded(found, rows)
    groups = found.groups[:tasks]
    ends = [sum(map(len, groups[: count + 1])) for count in range(tasks)]
    nearest = [torch.cdist(asked, means[:end]).argmin(1) == wanted for end in ends]
    places = [torch.isin(wanted, torch.tensor(group)) for group in groups]
    return [[right[place].double().mean().item() for place in places] for right in nearest]


def _coded(found: Labelled, rows: tuple[Row, ...]) -> tuple[Tensor, Tensor]:
    code = _pixels if found.name in IMAGES else _hashed
    labels = torch.tensor([row.label for row in rows])
    return torch.stack([code(row.content) for row in rows]), labels


def _pixels(content: bytes) -> Tensor:
    return torch.tensor(list(content), dtype=torch.float32)


def _hashed(content: bytes) -> Tensor:
    letters = content.lower()
    words = letters.split()
    parts = [
        *words,
        *(b" ".join(pair) for pair in pairwise(words)),
        *(b"\0" + letters[at : at + 3] for at in range(len(letters) - 2)),
    ]
    counts = Counter(map(_place, parts))
    vector = torch.zeros(PLACES)
    vector[list(counts)] = torch.tensor(list(counts.values()), dtype=torch.float32)
    return F.normalize(vector, dim=0)


@cache
def _place(part: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(part, digest_size=8).digest(), "big") % PLACES
