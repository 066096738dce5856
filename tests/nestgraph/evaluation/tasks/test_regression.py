"""Linear regression in context: what the tokens carry determines the answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Split
from nestgraph.runtime.labels import IGNORED


def test_answers_are_one_linear_map_of_the_numbers_of_a_row():
    D, N, bins = 3, 200, 512
    batch = find_task(f"regression:D={D},N={N},bins={bins}").draw(Split.TEST, 9, 20)
    rows = batch.tokens.view(20, N, D + 1).numpy()
    assert rows[:, :, :D].max() < bins <= rows[:, :, D].min()
    for row in rows:
        x = (row[:, :D] + 0.5) / bins * 2 - 1
        y = ((row[:, D] - bins + 0.5) / bins * 2 - 1) * 2  # up to 2 standard deviations
        inside = (row[:, D] > bins) & (row[:, D] < 2 * bins - 1)
        w, *_ = np.linalg.lstsq(x[inside], y[inside], rcond=None)
        error = np.abs(x @ w - y)
        assert error[inside].max() < 3 * 4 / bins
        beyond = np.abs(x @ w)[~inside]
        assert not len(beyond) or beyond.min() > 2 - 3 * 4 / bins


def test_numbers_are_spread_and_answers_have_about_unit_variance():
    batch = find_task("regression:D=2,N=20,bins=64").draw(Split.TRAIN, 1, 2000)
    rows = batch.tokens.view(2000, 20, 3)
    given = (rows[:, :, :2] + 0.5) / 64 * 2 - 1
    assert given.var().item() == pytest.approx(1 / 3, abs=0.01)
    answers = ((rows[:, :, 2] - 64 + 0.5) / 64 * 2 - 1) * 2
    assert 0.7 < answers.var().item() < 1.0  # of 1, those beyond 2 cut


def test_the_label_is_the_answer_and_stands_at_the_last_number_given():
    task = find_task("regression:D=2,N=7,bins=16")
    batch = task.draw(Split.TUNE, 4, 30)
    assert task.chance == math.log(16)
    for tokens, labels in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        for at, label in enumerate(labels):
            assert label == (tokens[at + 1] if at % 3 == 1 else IGNORED)


@pytest.mark.parametrize("text", ["D=0", "N=1", "bins=1", "bins=5000"])
def test_settings_that_fit_no_row_are_refused(text):
    with pytest.raises(InputError, match="NG931"):
        find_task(f"regression:{text}")
