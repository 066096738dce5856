"""Longer and longer rows: when the next length begins, and which rows are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.long.curriculum import Lengths, carry_out_lengths
from nestgraph.evaluation.procedures import Job
from nestgraph.evaluation.task import Split
from nestgraph.language.spec import Spec
from nestgraph.runtime.output import Output

Small = Callable[..., Spec]

TASK = "passkey:T=800,gap=20,shortest=200"  # lengths 200, 400 and 800


class Oracle:
    """Answers right, or not at all."""

    def __init__(self) -> None:
        self.knows = True

    def __call__(self, tokens: torch.Tensor) -> Output:
        following = torch.cat([tokens[:, 1:], tokens.new_full((len(tokens), 1), ord("."))], 1)
        logits = torch.nn.functional.one_hot(following.clamp(min=0), 256).float()
        return Output(logits if self.knows else -logits, {})


@pytest.fixture
def job(small: Small) -> Job:
    task = find_task(TASK)
    spec = fitted(small(), task, rate=1e-3, seed=1, steps=90, constant=False)
    return Job(task=task, spec=spec, split=Split.TEST, seed=1)


def test_the_next_length_begins_when_this_one_is_known(job: Job) -> None:
    lengths = Lengths(job, Oracle())  # type: ignore[arg-type]
    assert [lengths.enough(3), lengths.enough(6), lengths.enough(9)] == [False, False, True]
    assert lengths.stage == 2
    assert lengths.curve == [(3.0, 1.0), (6.0, 1.0), (9.0, 1.0)]


def test_a_length_that_is_never_known_has_its_share_of_the_steps(job: Job) -> None:
    oracle = Oracle()
    oracle.knows = False
    lengths = Lengths(job, oracle)  # type: ignore[arg-type]
    stages = []
    for step in range(3, 91, 3):
        assert not lengths.enough(step)
        stages.append(lengths.stage)
    assert stages.index(1) == 30 // 3 - 1
    assert stages.index(2) == 60 // 3 - 1


def test_rows_have_the_length_under_way_and_sometimes_one_before(job: Job) -> None:
    lengths = Lengths(job, Oracle())  # type: ignore[arg-type]
    assert {lengths.batch(step).tokens.shape[1] for step in range(8)} == {200}
    lengths.stage = 2
    widths = [lengths.batch(step).tokens.shape[1] for step in range(60)]
    assert set(widths) == {200, 400, 800}
    assert 0.1 < sum(width < 800 for width in widths) / 60 < 0.45


def test_all_lengths_are_scored(small: Small) -> None:
    task = replace(find_task("passkey:T=240,gap=20,shortest=200"), rows=4)
    spec = fitted(small(), task, rate=1e-3, seed=1, steps=2, constant=False)
    found = carry_out_lengths(Job(task=task, spec=spec, split=Split.TEST, seed=1))
    assert found.scores == {"score": 0.0, "T=200": 0.0, "T=240": 0.0}
    assert found.steps == 2
    assert found.series["step"]


def test_a_spec_whose_windows_see_the_needle_is_refused(job: Job, small: Small) -> None:
    wide = small("width: 2}", "width: 30}")
    spec = fitted(wide, job.task, rate=1e-3, seed=1, steps=2, constant=False)
    with pytest.raises(InputError, match="NG947"):
        carry_out_lengths(replace(job, spec=spec))
