"""Batches: pure functions of seed, step and rank; validation that leaves no token out."""

from __future__ import annotations

import itertools
import os
import random

import pytest
import torch

from nestgraph.training.batches import TrainingBatches, ValidationBatches


def batches(text: bytes, **changes: int) -> TrainingBatches:
    settings = {"context": 7, "batch": 5, "steps": 20, "seed": 3, **changes}
    return TrainingBatches(text, **settings)  # type: ignore[arg-type]


def test_a_batch_holds_windows_of_the_text() -> None:
    text = os.urandom(60)

    for batch in batches(text):
        assert batch.shape == (5, 8)
        assert batch.dtype == torch.int64
        assert all(bytes(row.tolist()) in text for row in batch)


def test_every_window_can_be_drawn_and_none_beyond_the_end() -> None:
    text = bytes(range(10))

    firsts = {int(row[0]) for batch in batches(text, steps=100) for row in batch}

    assert firsts == {0, 1, 2}


def test_batches_depend_on_seed_step_and_rank_alone() -> None:
    text = os.urandom(5000)
    again = list(batches(text, steps=4))

    for step, batch in enumerate(batches(text, steps=400)):
        assert torch.equal(batch, batches(text, steps=9).at(step))
        if step < 4:
            assert torch.equal(batch, again[step])
    others = [batches(text, seed=4), batches(text, rank=1)]
    assert not any(torch.equal(other.at(0), again[0]) for other in others)
    assert not torch.equal(again[0], again[1])


def test_the_windows_are_the_same_on_every_machine_and_version() -> None:
    text = bytes(i % 251 for i in range(5000))

    windows = batches(text, context=1, batch=4).at(0).tolist()

    assert windows == [[152, 153], [60, 61], [18, 19], [41, 42]]


def test_a_loader_goes_on_where_its_state_says() -> None:
    text = os.urandom(500)
    unbroken = list(batches(text))
    seen = list(itertools.islice(batches(text), 6))

    resumed = batches(text)
    resumed.load_state_dict({"step": 6})

    for ours, theirs in zip([*seen, *resumed], unbroken, strict=True):
        assert torch.equal(ours, theirs)


def test_the_state_counts_the_batches_that_were_given_out() -> None:
    loader = batches(os.urandom(500))
    for count, _ in enumerate(loader, start=1):
        assert loader.state_dict() == {"step": count}

    assert len(loader) == 20
    assert len(list(loader)) == 20  # a second epoch begins at the first batch again


def test_a_text_without_a_whole_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`text` \(7 bytes\) must exceed `context` \(=7\)"):
        batches(b"1234567")


# Drawn inside the test: every process must find the same names of tests.
@pytest.mark.parametrize("size", [2, 7, 8, 9, 15, 600, 601, *["random"] * 5])
def test_validation_predicts_every_token_but_the_first_once(size: int | str) -> None:
    text = os.urandom(size if isinstance(size, int) else random.randrange(10, 900))
    validation = ValidationBatches(text, context=7, batch=3)

    targets = [row[1:] for batch in validation for row in batch]
    inputs = [row[:-1] for batch in validation for row in batch]

    assert bytes(torch.cat(targets).tolist()) == text[1:]
    assert bytes(torch.cat(inputs).tolist()) == text[:-1]
    assert len(validation) == len(list(validation))


def test_validation_batches_are_at_least_as_large_as_training_batches() -> None:
    validation = ValidationBatches(os.urandom(80_000), context=4096, batch=3)
    small = ValidationBatches(os.urandom(80_000), context=64, batch=3)

    assert next(iter(validation)).shape == (3, 4097)
    assert next(iter(small)).shape == (64, 65)
