"""The six tasks after MAD, each row read by a program of its own."""

from __future__ import annotations

import random

import pytest
import torch

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Batch, Split
from nestgraph.runtime.labels import IGNORED

SCORED = [Split.TUNE, Split.TEST]


def rows(batch: Batch) -> list[tuple[list[int], list[int]]]:
    return list(zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True))


def seed() -> int:
    return random.randrange(2**31)


@pytest.mark.parametrize(("name", "real"), [("mad-recall", 16), ("mad-noisy-recall", 16)])
def test_values_are_due_where_a_key_comes_again(name, real):
    half = real // 2
    for tokens, labels in rows(find_task(name).draw(Split.TEST, seed(), 100)):
        known: dict[int, int] = {}
        expected = [IGNORED] * len(tokens)
        for at in range(0, len(tokens), 2):
            key, value = tokens[at : at + 2]
            if key >= real:
                assert value >= real
                continue
            assert key < half <= value < real
            assert known.get(key, value) == value
            if key in known:
                expected[at] = value
            known[key] = value
        assert labels == expected
        assert labels[-2] != IGNORED


def test_noise_takes_the_place_of_its_share_of_pairs():
    batch = find_task("mad-noisy-recall:share=0.4").draw(Split.TEST, seed(), 400)
    inner = batch.tokens[:, 2:-2]
    assert (inner >= 16).double().mean().item() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("name", ["mad-recall", "mad-noisy-recall"])
def test_recall_is_learned_from_every_next_token(name):
    batch = find_task(name).draw(Split.TRAIN, seed(), 10)
    assert torch.equal(batch.targets[:, :-1], batch.tokens[:, 1:])


def test_a_fuzzy_key_that_comes_again_at_the_end_has_its_value():
    for tokens, labels in rows(find_task("mad-fuzzy-recall").draw(Split.TEST, seed(), 100)):
        pad, half = 15, 7
        words = [token for token in tokens if token != pad]
        assert tokens == [pad] * (len(tokens) - len(words)) + words
        pairs: list[tuple[list[int], list[int]]] = []
        for token in words:
            if token < half and (not pairs or pairs[-1][1]):
                pairs.append(([], []))
            pairs[-1][token >= half].append(token)
        assert all(len(key) == 3 and 1 <= len(value) <= 3 for key, value in pairs)
        *before, (key, value) = pairs
        assert value in [other for known, other in before if known == key]
        due = [label for label in labels if label != IGNORED]
        assert due == value
        assert labels[-1] == IGNORED
        assert labels[-1 - len(value) : -1] == value


def test_fuzzy_keys_have_one_to_three_tokens_in_training():
    sizes = set()
    for tokens, labels in rows(find_task("mad-fuzzy-recall").draw(Split.TRAIN, seed(), 200)):
        words = [token for token in tokens if token != 15]
        first = next(at for at, token in enumerate(words) if token >= 7)
        sizes.add(first)
        assert [label for label in labels if label != IGNORED] == words[1:]
    assert sizes == {1, 2, 3}


def test_the_map_to_memorize_is_one_and_training_rows_are_256():
    task = find_task("mad-memorization")
    known: dict[int, int] = {}
    for split in Split:
        for tokens, labels in rows(task.draw(split, seed(), 100)):
            assert set(tokens[1::2]) == {255}
            assert set(labels[::2]) == {IGNORED}
            for key, value in zip(tokens[::2], labels[1::2], strict=True):
                assert key < 127 <= value < 254
                assert known.setdefault(key, value) == value
    assert len(set(known.values())) == len(known)
    trained = {
        tuple(row) for s in range(40) for row in task.draw(Split.TRAIN, s, 64).tokens.tolist()
    }
    assert len(trained) == 256


def test_compressed_tokens_are_due_at_their_places():
    for tokens, labels in rows(find_task("mad-compression:N=9,V=5").draw(Split.TEST, seed(), 30)):
        assert tokens[9:] == [5, *range(6, 15)]
        assert labels == [IGNORED] * 10 + tokens[:9]
        assert max(tokens[:9]) < 5


@pytest.mark.parametrize("split", list(Split))
def test_tokens_among_blanks_are_due_in_their_order(split):
    for tokens, labels in rows(find_task("mad-selective-copying").draw(split, seed(), 50)):
        blank, sign = 14, 15
        begin = tokens.index(sign)
        wanted = [token for token in tokens[:begin] if token != blank]
        assert len(wanted) == 8
        assert tokens[begin + 1 :] == [blank] * 8
        assert labels == [IGNORED] * (begin + 1) + wanted


@pytest.mark.parametrize(
    "text",
    [
        "mad-recall:V=5",
        "mad-recall:T=3",
        "mad-noisy-recall:share=1",
        "mad-noisy-recall:noise=0",
        "mad-noisy-recall:noise=30",
        "mad-fuzzy-recall:T=20",
        "mad-memorization:T=3",
        "mad-compression:N=0",
        "mad-selective-copying:T=16",
        "mad-selective-copying:V=3",
    ],
)
def test_settings_that_fit_no_row_are_refused(text):
    with pytest.raises(InputError, match="NG931"):
        find_task(text)
