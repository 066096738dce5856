"""Formal languages, judged at every prefix (Irie et al., arXiv 2310.16076; Bhattamishra et al.).

Of the regular languages a label says whether the prefix belongs to the language; of counter and
shuffle languages which symbols may come next, the end among them, as one label for each such set.
A row is one string. It is right if every label is. Lengths of 2 to 50 are trained on and scored;
those of 51 to 100 are scored apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nestgraph.evaluation.task import (
    Batch,
    Reference,
    Split,
    Task,
    generator,
    require,
    task,
)
from nestgraph.runtime.labels import IGNORED

SHORT, TRAINED, LONG = 2, 50, 100
PAPER = "Nested Learning (arXiv 2512.24695), table 5"
EXACT = {"LSTM": (1.0, 1.0), "SRWM": (1.0, 1.0), "Hope": (1.0, 1.0)}
NOTHING = {"Transformer": (0.0, 0.0), "Linear": (0.0, 0.0), "DeltaNet": (0.0, 0.0)}
ALL = EXACT | {"Transformer": (1.0, 1.0), "Linear": (1.0, 1.0), "DeltaNet": (1.0, 1.0)}
PARITY = EXACT | {"Transformer": (0.464, 0.0), "Linear": (0.781, 0.0), "DeltaNet": (0.982, 0.101)}

Strings = Callable[[torch.Generator, Sequence[int]], list[list[int]]]
Labels = Callable[[list[int]], list[int]]


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language by its strings.

    Attributes:
        name: of its task.
        doc: of its task.
        symbols: of its alphabet, numbered from 0.
        classes: of its labels, numbered from 0.
        unit: lengths of strings are multiples of it.
        strings: one for each length.
        labels: of a string, one for each prefix.
        published: accuracies by model, of trained lengths and of longer ones.
    """

    name: str
    doc: str
    symbols: int
    classes: int
    unit: int
    strings: Strings
    labels: Labels
    published: dict[str, tuple[float, float]]

    def draw(self, shortest: int, longest: int, split: Split, seed: int, rows: int) -> Batch:
        """Return strings whose lengths are uniform between two bounds, filled up behind their
        ends.
        """
        source = generator(self.name, shortest, longest, split, seed)
        low, high = -(-shortest // self.unit), longest // self.unit
        drawn = torch.randint(low, high + 1, (rows,), generator=source)
        lengths = [self.unit * count for count in drawn.tolist()]
        strings = self.strings(source, lengths)
        labels = [[self.symbols + one for one in self.labels(string)] for string in strings]
        return Batch(
            tokens=_filled(strings, longest, -1), targets=_filled(labels, longest, IGNORED)
        )

    def task(self, *, shortest: int = SHORT, longest: int = TRAINED) -> Task:
        """Return its task: strings up to a length, and longer ones apart."""
        said = f"`shortest` (={shortest}) must be from 1 to `longest` (={longest})"
        require(1 <= shortest <= longest, said)
        said = f"no string is from {shortest} to {longest} symbols long"
        require(longest // self.unit * self.unit >= shortest, said)
        beyond = f"{longest + 1}-{2 * longest}"
        return Task(
            name=self.name,
            kind="state",
            doc=self.doc,
            vocab=self.symbols + self.classes,
            context=longest,
            metric="strings",
            higher=True,
            chance=None,
            floor=1.0,
            stop=1.0,
            steps=2000,
            batch=32,
            rates=(1e-3, 3e-3, 1e-2),
            references=self._references(beyond) if (shortest, longest) == (SHORT, TRAINED) else (),
            draw=partial(self.draw, shortest, longest),
            parts={beyond: partial(self.draw, longest + 1, 2 * longest)},
        )

    def _references(self, beyond: str) -> tuple[Reference, ...]:
        named = (f"lengths {SHORT}-{TRAINED}", f"lengths {beyond}")
        return tuple(
            Reference(model=f"{model}, {which}", value=value, source=PAPER)
            for model, values in self.published.items()
            for which, value in zip(named, values, strict=True)
        )


def _filled(rows: Sequence[Sequence[int]], width: int, value: int) -> Tensor:
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def _bits(source: torch.Generator, lengths: Sequence[int]) -> list[list[int]]:
    return [torch.randint(2, (length,), generator=source).tolist() for length in lengths]


def _cycle(*word: int) -> Strings:
    return lambda source, lengths: [[word[at % len(word)] for at in range(n)] for n in lengths]


def _blocks(count: int) -> Strings:
    """Return a…ab…b with as many of each of `count` symbols."""
    return lambda source, lengths: [
        [symbol for symbol in range(count) for _ in range(n // count)] for n in lengths
    ]


def _even_ones(string: list[int]) -> list[int]:
    ones, found = 0, []
    for bit in string:
        ones += bit
        found.append(int(ones % 2 == 0))
    return found


def _every(period: int) -> Labels:
    return lambda string: [int((at + 1) % period == 0) for at in range(len(string))]


def _next_in_blocks(count: int) -> Labels:
    """Return 0: a or b; then the one symbol that may follow, from 1 on; at last the end.

    Among the `a`s another `a` or the first `b` may come; how many others there are is known then.
    """

    def labels(string: list[int]) -> list[int]:
        many, found = string.count(0), []
        for at in range(1, len(string) + 1):
            done = at // many  # symbols that have all of theirs
            found.append(0 if at <= many and string[at - 1] == 0 else min(done, count))
        return found

    return labels


ROUND, SQUARE = (0, 1), (2, 3)  # brackets that open and close


def _shuffled(source: torch.Generator, lengths: Sequence[int]) -> list[list[int]]:
    """Return brackets of two kinds, each balanced, at random among what still can be closed in
    time.
    """
    found = []
    for length in lengths:
        string: list[int] = []
        depths = [0, 0]
        for at, draw in enumerate(torch.rand(length, generator=source).tolist()):
            left = length - at
            opens = (ROUND[0], SQUARE[0]) if sum(depths) < left else ()
            closes = [pair[1] for pair, depth in zip((ROUND, SQUARE), depths, strict=True) if depth]
            choices = [*opens, *closes]
            symbol = choices[int(draw * len(choices))]
            depths[symbol // 2] += 1 - 2 * (symbol % 2)
            string.append(symbol)
        found.append(string)
    return found


def _closable(string: list[int]) -> list[int]:
    """Return which kinds are open: 1 for round, 2 for square brackets, added up."""
    depths, found = [0, 0], []
    for symbol in string:
        depths[symbol // 2] += 1 - 2 * (symbol % 2)
        found.append(int(depths[0] > 0) + 2 * int(depths[1] > 0))
    return found


LANGUAGES = (
    Language(
        name="parity",
        doc="Bits; at each prefix, whether the number of ones is even.",
        symbols=2,
        classes=2,
        unit=1,
        strings=_bits,
        labels=_even_ones,
        published=PARITY,
    ),
    Language(
        name="aa",
        doc="The language (aa)*: a over and over; at each prefix, whether its length is even.",
        symbols=1,
        classes=2,
        unit=1,
        strings=_cycle(0),
        labels=_every(2),
        published=EXACT | NOTHING,
    ),
    Language(
        name="abab",
        doc="The language (abab)*: a and b in turn; at each prefix, "
        "whether four divides its length.",
        symbols=2,
        classes=2,
        unit=1,
        strings=_cycle(0, 1),
        labels=_every(4),
        published=EXACT | NOTHING,
    ),
    Language(
        name="anbn",
        doc="The language aⁿbⁿ; at each prefix, which symbols may come next, the end among them.",
        symbols=2,
        classes=3,
        unit=2,
        strings=_blocks(2),
        labels=_next_in_blocks(2),
        published=ALL,
    ),
    Language(
        name="anbncn",
        doc="The language aⁿbⁿcⁿ; at each prefix, which symbols may come next, the end among them.",
        symbols=3,
        classes=4,
        unit=3,
        strings=_blocks(3),
        labels=_next_in_blocks(3),
        published=ALL,
    ),
    Language(
        name="shuffle-2",
        doc="Two kinds of brackets, each balanced by itself; at each prefix, which may come next.",
        symbols=4,
        classes=4,
        unit=2,
        strings=_shuffled,
        labels=_closable,
        published=ALL,
    ),
)
for language in LANGUAGES:
    task(language.name)(language.task)
