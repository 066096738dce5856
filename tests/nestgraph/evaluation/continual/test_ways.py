"""Ways to learn a stream: which rows they learn from at which step."""

from __future__ import annotations

import pytest
import torch
from streams import FIRST, SYMBOLS, Jobs, coded

from nestgraph.evaluation.continual.ways import WAYS, joined, trimmed
from nestgraph.evaluation.task import Batch
from nestgraph.runtime.labels import IGNORED


def labels(batch: Batch) -> list[int]:
    """Return what is asked, counted from the first answer."""
    return (batch.targets[batch.targets != IGNORED] - FIRST).tolist()


@pytest.mark.parametrize("way", ["", "ewc"])
def test_a_step_learns_from_its_own_task_alone(job: Jobs, way: str) -> None:
    found = WAYS[way](job(way), 10)

    for step, part in ((0, 0), (9, 0), (10, 1), (19, 1)):
        batch = found.batch(step)
        assert batch.tokens.shape == (8, 2)  # the column that no row has is left out
        assert {label // SYMBOLS for label in labels(batch)} == {part}
    assert not torch.equal(found.batch(0).tokens, found.batch(1).tokens)


def test_replay_adds_as_many_rows_of_a_buffer_of_its_size(job: Jobs) -> None:
    found = WAYS["replay"](job("replay", buffer=2), 10)

    assert len(found.batch(3).tokens) == 8
    old = [label for step in range(10, 20) for label in labels(found.batch(step))[8:]]
    assert len(old) == 80
    assert {label // SYMBOLS for label in old} == {0}
    assert len(set(old)) <= 2


def test_joint_training_learns_from_all_tasks_at_every_step(job: Jobs) -> None:
    found = WAYS["joint"](job("joint"), 10)
    for step in (0, 19):
        assert {label // SYMBOLS for label in labels(found.batch(step))} == {0, 1}


def test_the_rows_of_two_batches_are_brought_to_one_width() -> None:
    narrow = trimmed(coded(torch.arange(3)))
    wide = Batch(
        tokens=torch.zeros(2, 5, dtype=torch.long), targets=torch.ones(2, 5, dtype=torch.long)
    )

    both = joined(narrow, wide)
    assert both.tokens[:3, 2:].unique().tolist() == [-1]
    assert both.targets[:3, 2:].unique().tolist() == [IGNORED]
    assert torch.equal(both.tokens[3:], wide.tokens)
    assert torch.equal(both.targets[:3, :2], narrow.targets)
