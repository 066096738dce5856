"""Windows and copies of text: which part of it each split reads, and what is scored."""

from __future__ import annotations

import random

import pytest
import torch

from nestgraph.data import load_corpus
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Split
from nestgraph.runtime.labels import IGNORED

TEXT = load_corpus("shakespeare")
CUT = int(len(TEXT.train) * 0.9)
PARTS = {
    Split.TRAIN: TEXT.train[:CUT],
    Split.TUNE: TEXT.train[CUT:],
    Split.TEST: TEXT.validation,
}


@pytest.mark.parametrize("split", list(Split))
def test_windows_lie_in_the_part_of_their_split_and_ask_for_the_next_byte(split):
    T = random.randint(20, 90)
    batch = find_task(f"text:T={T}").draw(split, random.randrange(2**31), 12)
    for tokens, labels in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        assert bytes([*tokens, labels[-1]]) in PARTS[split]
        assert labels[:-1] == tokens[1:]


def test_all_of_the_validation_text_is_scored():
    task = find_task("text:T=64")
    batch = task.draw(Split.TEST, 0, task.rows)
    told = bytearray()
    at = 0
    for row in batch.tokens.tolist():
        begin = TEXT.validation.index(bytes(row), max(0, at - 64))
        assert begin <= at  # nothing between two windows is left out
        at = begin + 64
        told += bytes(row)
    assert at >= len(TEXT.validation) - 1
    assert len(told) - len(TEXT.validation) < 64


@pytest.mark.parametrize("split", [Split.TUNE, Split.TEST])
def test_each_copy_of_a_passage_is_scored_apart(split):
    L, K = random.randint(5, 30), random.randint(2, 5)
    task = find_task(f"copies:L={L},K={K}")
    assert list(task.parts) == [f"copy {copy + 1}" for copy in range(K - 1)]
    for copy, draw in enumerate((*task.parts.values(), task.draw)):
        batch = draw(split, 3, 6)
        for tokens, labels in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
            passage = tokens[:L]
            assert bytes(passage) in PARTS[split]
            assert tokens == passage * K
            for at, label in enumerate(labels):
                mine = copy * L <= at + 1 < (copy + 1) * L
                assert label == (tokens[at + 1] if mine else IGNORED)


def test_copies_are_learned_from_text_or_from_copies():
    plain = find_task("copies:L=16,K=3").draw(Split.TRAIN, 1, 4)
    for row in plain.tokens.tolist():
        assert bytes(row) in PARTS[Split.TRAIN]
    copied = find_task("copies:L=16,K=3,train=copies").draw(Split.TRAIN, 1, 4)
    assert torch.equal(copied.tokens[:, :16], copied.tokens[:, 16:32])
    assert torch.equal(copied.targets[:, :-1], copied.tokens[:, 1:])
    assert (copied.targets[:, -1] == IGNORED).all()


@pytest.mark.parametrize(
    "text", ["text:T=1", "text:T=20000", "text:data=nowhere", "copies:K=1", "copies:train=both"]
)
def test_settings_that_fit_no_row_are_refused(text):
    with pytest.raises(InputError, match="NG931"):
        find_task(text)
