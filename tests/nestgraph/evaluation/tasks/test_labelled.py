"""Rows of classes that come group by group: what is read, what is asked, and of which group."""

from __future__ import annotations

import random
from importlib.util import find_spec

import pytest
import torch

from nestgraph.data.labelled import load_labelled
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Batch, Split
from nestgraph.evaluation.tasks.labelled import FIRST_LABEL, SEPARATOR
from nestgraph.runtime.labels import IGNORED

NAMES = [
    "clinc150",
    "banking77",
    "dbpedia14",
    pytest.param(
        "digits",
        marks=pytest.mark.skipif(find_spec("sklearn") is None, reason="no `nestgraph[eval]`"),
    ),
]


def read(batch: Batch) -> list[tuple[bytes, int]]:
    """Return what a row says, and its label."""
    found = []
    for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        end = tokens.index(SEPARATOR)
        assert all(token == -1 for token in tokens[end + 1 :])
        assert [at for at, target in enumerate(targets) if target != IGNORED] == [end]
        found.append((bytes(tokens[:end]), targets[end] - FIRST_LABEL))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_a_text_a_separator_and_behind_it_the_label(name: str) -> None:
    T = random.randint(8, 80)
    task, known = find_task(f"{name}:T={T}"), load_labelled(name)
    for split in Split:
        rows = {(row.content[: T - 1], row.label) for row in getattr(known, split)}
        assert set(read(task.draw(split, random.randrange(2**31), 40))) <= rows


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_the_groups_in_their_order_and_hold_all_of_their_rows(name: str) -> None:
    task, known = find_task(name), load_labelled(name)
    assert len(task.parts) == len(known.groups)
    for group, draw in zip(known.groups, task.parts.values(), strict=True):
        whole = sorted(row.label for row in known.test if row.label in group)
        assert sorted(label for _, label in read(draw(Split.TEST, 5, len(whole)))) == whole


def test_a_row_comes_again_only_after_all_others() -> None:
    draw = next(iter(find_task("clinc150:T=160").parts.values()))
    known = load_labelled("clinc150")
    whole = {row.content for row in known.tune if row.label < 15}
    rows = [text for text, _ in read(draw(Split.TUNE, 3, 2 * 300))]
    assert set(rows[:300]) == set(rows[300:]) == whole
    assert rows[:300] != rows[300:]


def test_fewer_groups_have_a_smaller_vocabulary_and_their_own_labels_alone() -> None:
    task = find_task("clinc150:tasks=3")
    assert task.vocab == FIRST_LABEL + 45
    assert task.chance == 1 / 45
    labels = {label for _, label in read(task.draw(Split.TEST, 1, 45 * 30))}
    assert labels == set(range(45))
    assert not task.references  # they are of all 150 classes


@pytest.mark.parametrize("setting", ["tasks=1", "tasks=11", "T=1", "T=5000"])
def test_settings_that_no_stream_has_are_refused(setting: str) -> None:
    with pytest.raises(InputError, match="NG931"):
        find_task(f"clinc150:{setting}")


def test_batches_of_training_differ_by_seed() -> None:
    draw = find_task("banking77").draw
    assert not torch.equal(draw(Split.TRAIN, 0, 32).tokens, draw(Split.TRAIN, 1, 32).tokens)
