"""Formal languages, against membership by regular expressions and by trying every next symbol."""

from __future__ import annotations

import random
import re

import pytest

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Batch, Split, Task
from nestgraph.runtime.labels import IGNORED

REGULAR = {
    "parity": ("01", re.compile("(0|10*1)*")),
    "aa": ("a", re.compile("(aa)*")),
    "abab": ("ab", re.compile("(abab)*")),
}
END = "."


def strings(task: Task, alphabet: str, batch: Batch) -> list[tuple[str, list[int]]]:
    """Return rows as words, with their labels as classes from 0 on."""
    found = []
    for tokens, labels in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        length = sum(token >= 0 for token in tokens)
        assert tokens[length:] == [-1] * (len(tokens) - length)
        assert labels[length:] == [IGNORED] * (len(tokens) - length)
        word = "".join(alphabet[token] for token in tokens[:length])
        found.append((word, [label - len(alphabet) for label in labels[:length]]))
    return found


def drawn(task: Task, alphabet: str) -> list[tuple[str, list[int]]]:
    seed = random.randrange(2**31)
    parts = (task.draw, *task.parts.values())
    return [one for draw in parts for one in strings(task, alphabet, draw(Split.TEST, seed, 300))]


@pytest.mark.parametrize("name", REGULAR)
def test_labels_of_regular_languages_say_which_prefixes_belong(name):
    alphabet, language = REGULAR[name]
    for word, labels in drawn(find_task(name), alphabet):
        belongs = [bool(language.fullmatch(word[:end])) for end in range(1, len(word) + 1)]
        assert labels == [int(one) for one in belongs]


def in_blocks(word: str, symbols: str) -> bool:
    """Return whether a word is aⁿbⁿ… with n from 1 on."""
    n = word.count("a")
    return n >= 1 and word == "".join(symbol * n for symbol in symbols)


def balanced(word: str) -> bool:
    """Return whether round and square brackets are balanced, each by themselves."""
    for opens, closes in ("()", "[]"):
        depth = 0
        for symbol in word:
            depth += (symbol == opens) - (symbol == closes)
            if depth < 0:
                return False
        if depth:
            return False
    return True


def next_in_blocks(prefix: str, symbols: str) -> frozenset[str]:
    """Return which symbols lead to a word of the language, by trying all words that are long
    enough.
    """
    words = ["".join(s * n for s in symbols) for n in range(1, len(prefix) + 2)]
    begun = [word for word in words if word.startswith(prefix)]
    return frozenset(word[len(prefix)] if len(word) > len(prefix) else END for word in begun)


@pytest.mark.parametrize(("name", "symbols"), [("anbn", "ab"), ("anbncn", "abc")])
def test_labels_of_counter_languages_are_the_sets_of_what_may_come_next(name, symbols):
    sets: dict[int, frozenset[str]] = {}
    for word, labels in drawn(find_task(name), symbols):
        assert in_blocks(word, symbols)
        for at, label in enumerate(labels[:]):
            if label == 0 or at + 1 == len(word) or len(word) < 40:
                found = next_in_blocks(word[: at + 1], symbols)
                assert sets.setdefault(label, found) == found
    assert len(set(sets.values())) == len(sets) == len(symbols) + 1


def test_labels_of_the_shuffle_are_the_sets_of_brackets_that_may_come_next():
    sets: dict[int, frozenset[str]] = {}
    words = set()
    for word, labels in drawn(find_task("shuffle-2"), "()[]"):
        assert balanced(word)
        words.add(word)
        for at, label in enumerate(labels):
            prefix = word[: at + 1]
            open_ = {")": prefix.count("(") - prefix.count(")"),
                     "]": prefix.count("[") - prefix.count("]")}  # fmt: skip
            may = frozenset("([") | {symbol for symbol, depth in open_.items() if depth}
            assert sets.setdefault(label, may) == may
    assert len(set(sets.values())) == len(sets) == 4
    assert any(re.search(r"\([^)]*\[[^\]]*\)", word) for word in words)  # they do cross


@pytest.mark.parametrize("name", [*REGULAR, "anbn", "anbncn", "shuffle-2"])
def test_lengths_are_uniform_from_2_to_50_and_longer_ones_are_scored_apart(name):
    task = find_task(name)
    assert list(task.parts) == ["51-100"]
    unit = {"anbn": 2, "anbncn": 3, "shuffle-2": 2}.get(name, 1)
    for draw, low, high in ((task.draw, 2, 50), (task.parts["51-100"], 51, 100)):
        lengths = (draw(Split.TRAIN, 5, 2000).tokens >= 0).sum(1).tolist()
        possible = [n for n in range(low, high + 1) if n % unit == 0]
        assert set(lengths) == set(possible)
        expected = 2000 / len(possible)
        assert max(lengths.count(n) for n in possible) < 2.2 * expected


def test_parity_is_balanced():
    batch = find_task("parity").draw(Split.TEST, 3, 500)
    labels = batch.targets[batch.targets != IGNORED] - 2
    assert 0.45 < labels.double().mean().item() < 0.55


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parity:longest=0", "`shortest` (=2) must be from 1 to `longest` (=0)"),
        ("anbncn:shortest=4,longest=5", "no string is from 4 to 5 symbols long"),
    ],
)
def test_lengths_that_no_string_has_are_refused(text, words):
    with pytest.raises(InputError, match="NG931") as refused:
        find_task(text)
    assert words in str(refused.value)
