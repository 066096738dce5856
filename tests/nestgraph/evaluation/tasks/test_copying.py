"""Repeated blocks and induction, row by row."""

from __future__ import annotations

import random

import pytest

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Split
from nestgraph.runtime.labels import IGNORED


def test_a_block_comes_again_and_its_first_copy_is_not_scored():
    S, longest = random.randint(8, 20), random.randint(6, 20)
    shortest, T = random.randint(5, longest), longest + random.randint(10, 40)
    task = find_task(f"repeat-copy:S={S},T={T},shortest={shortest},longest={longest}")
    periods = set()
    for split in Split:
        batch = task.draw(split, random.randrange(2**31), 100)
        for tokens, labels in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
            scored = [at for at, label in enumerate(labels) if label != IGNORED]
            period = scored[0] + 1  # the first label is the first symbol of the second copy
            periods.add(period)
            assert scored == list(range(period - 1, T))
            block = tokens[:period]
            assert tokens == [block[at % period] for at in range(T)]
            assert labels[period - 1 :] == [block[at % period] for at in range(period, T + 1)]
    assert periods == set(range(shortest, longest + 1))


def test_after_the_sign_comes_what_followed_it():
    T, S = random.randint(3, 40), random.randint(2, 20)
    task = find_task(f"induction:T={T},S={S}")
    places = set()
    batch = task.draw(Split.TEST, random.randrange(2**31), 600)
    for tokens, labels in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        first = tokens.index(S)
        places.add(first)
        assert tokens.count(S) == 2
        assert tokens[-1] == S
        assert labels == [IGNORED] * (T - 1) + [tokens[first + 1]]
    assert places <= set(range(T - 2))
    assert len(places) > min(T - 2, 20) // 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("repeat-copy:S=1", "`S` (=1) must be at least 2"),
        ("repeat-copy:shortest=25", "`shortest` (=25) must be from 1 to `longest` (=24)"),
        ("repeat-copy:shortest=0", "`shortest` (=0) must be from 1"),
        ("repeat-copy:T=23", "`T` (=23) must be at least `longest` (=24)"),
        ("induction:T=2", "`T` (=2) must be at least 3"),
        ("induction:S=1", "`S` (=1) must be at least 2"),
    ],
)
def test_settings_that_fit_no_row_are_refused(text, words):
    with pytest.raises(InputError, match="NG931") as refused:
        find_task(text)
    assert words in str(refused.value)
