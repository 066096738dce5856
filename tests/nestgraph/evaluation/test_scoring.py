"""Metrics against loops over positions."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.evaluation.scoring import METRICS, points, score
from nestgraph.evaluation.task import Batch, Split
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.output import Output


def drawn(rows: int = 6, time: int = 9, vocab: int = 5) -> tuple[Batch, Tensor]:
    """Return rows of several lengths with some labels, and logits for them."""
    lengths = torch.randint(2, time + 1, (rows, 1))
    behind = torch.arange(time) >= lengths
    tokens = torch.randint(vocab, (rows, time)).masked_fill(behind, -1)
    targets = torch.randint(vocab, (rows, time)).masked_fill(behind, IGNORED)
    targets[torch.rand(rows, time) < 0.3] = IGNORED
    targets[:, 0] = torch.randint(vocab, (rows,))
    return Batch(tokens=tokens, targets=targets), torch.randn(rows, time, vocab)


def test_accuracy_is_the_share_of_labels_that_score_highest():
    batch, logits = drawn()
    judged = METRICS["accuracy"].judge(batch, logits)
    right, at = [], []
    for row, labels in enumerate(batch.targets.tolist()):
        for position, label in enumerate(labels):
            if label != IGNORED:
                scores = logits[row, position].tolist()
                right.append(float(scores.index(max(scores)) == label))
                at.append(position + 1)
    assert judged.values.tolist() == right
    assert judged.at.tolist() == at


def test_a_string_counts_if_every_label_of_it_scores_highest():
    batch, logits = drawn(rows=200, time=4, vocab=2)
    judged = METRICS["strings"].judge(batch, logits)
    expected = []
    for row, labels in enumerate(batch.targets.tolist()):
        best = [scores.index(max(scores)) for scores in logits[row].tolist()]
        expected.append(all(a == b for a, b in zip(best, labels, strict=True) if b != IGNORED))
    assert judged.values.tolist() == expected
    assert 0 < sum(expected) < 200
    assert judged.at.tolist() == [sum(t >= 0 for t in row) for row in batch.tokens.tolist()]


def test_nats_are_the_surprise_at_each_label():
    batch, logits = drawn()
    judged = METRICS["nats"].judge(batch, logits)
    expected = [
        math.log(sum(math.exp(x) for x in logits[row, at].tolist())) - logits[row, at, label].item()
        for row, labels in enumerate(batch.targets.tolist())
        for at, label in enumerate(labels)
        if label != IGNORED
    ]
    torch.testing.assert_close(judged.values, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("doubling", [True, False])
def test_points_are_means_of_spans_that_hold_everything_once(doubling):
    at = torch.randint(1, random.randint(2, 300), (500,))
    values = torch.rand(500, dtype=torch.float64)
    found = points(values, at, doubling=doubling)
    first, total = 1, 0.0
    for last, mean in found:
        inside = (at >= first) & (at <= last)
        assert mean == pytest.approx(values[inside].mean().item())
        total += mean * int(inside.sum())
        first = int(last) + 1
    assert total == pytest.approx(values.sum().item())
    assert found[-1][0] == int(at.max())
    if doubling:
        assert all(math.log2(last).is_integer() for last, _ in found[:-1])


def test_a_score_is_the_same_however_many_rows_are_read_at_once(monkeypatch):
    batch, logits = drawn(rows=40, time=8, vocab=5)
    answers = {tuple(row): logits[at] for at, row in enumerate(batch.tokens.tolist())}

    def read(tokens: Tensor) -> Output:
        return Output(torch.stack([answers[tuple(row)] for row in tokens.tolist()]), {})

    def found() -> float:
        return score(
            read,
            lambda split, seed, rows: batch,
            METRICS["nats"],
            split=Split.TEST,
            seed=0,
            rows=40,
        ).mean

    whole = found()
    monkeypatch.setattr("nestgraph.evaluation.scoring.MOST_TOKENS", 24)
    assert found() == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_whose_scores_are_no_numbers_has_no_score(value):
    batch, logits = drawn()
    logits[0, 0, 0] = value
    with pytest.raises(InputError, match="NG742"):
        score(
            lambda tokens: Output(logits, {}),
            lambda split, seed, rows: batch,
            METRICS["accuracy"],
            split=Split.TEST,
            seed=0,
            rows=6,
        )
