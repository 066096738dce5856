"""Summaries of R, against values by hand and against what their definitions imply."""

from __future__ import annotations

import random
from fractions import Fraction as F
from statistics import fmean

import pytest

from nestgraph.evaluation.continual.matrix import ContinualMatrix, Variant

BY_HAND = ContinualMatrix(
    scores=[
        [0.9, 0.2, 0.1],
        [0.95, 0.8, 0.3],
        [0.5, 0.85, 0.7],
    ],
    untrained=[0.1, 0.05, 0.2],
)


def drawn(tasks: int, source: random.Random) -> ContinualMatrix:
    return ContinualMatrix(
        scores=[[source.random() for _ in range(tasks)] for _ in range(tasks)],
        untrained=[source.random() for _ in range(tasks)],
    )


def test_accuracy_is_the_mean_of_the_last_row() -> None:
    assert BY_HAND.accuracy() == pytest.approx((0.5 + 0.85 + 0.7) / 3)


def test_average_incremental_accuracy_looks_at_the_tasks_so_far() -> None:
    by_hand = (0.9 + (0.95 + 0.8) / 2 + (0.5 + 0.85 + 0.7) / 3) / 3
    assert BY_HAND.incremental() == pytest.approx(by_hand)


def test_what_was_learned_is_the_mean_of_the_diagonal() -> None:
    assert BY_HAND.learned() == pytest.approx(0.8)
    assert BY_HAND.gained() == pytest.approx(0.8 - 0.35 / 3)


@pytest.mark.parametrize(
    ("variant", "value"),
    [
        ("chaudhry", F("0.45") + F("-0.05")),  # 0.95 - 0.5; 0.8 - 0.85
        ("mammoth", F("0.45") + F("0")),  # 0.95 - 0.5; 0.85 - 0.85
        ("avalanche", F("0.4") + F("-0.05")),  # 0.9 - 0.5; 0.8 - 0.85
    ],
)
def test_forgetting_is_what_its_author_says(variant: Variant, value: F) -> None:
    assert BY_HAND.forgetting(variant) == pytest.approx(float(value / 2))


def test_forgetting_is_chaudhrys_unless_another_is_named() -> None:
    assert BY_HAND.forgetting() == BY_HAND.forgetting("chaudhry")


def test_backward_and_forward_transfer_are_those_of_gem() -> None:
    assert BY_HAND.backward() == pytest.approx((-0.4 + 0.05) / 2)
    assert BY_HAND.forward() == pytest.approx(((0.2 - 0.05) + (0.3 - 0.2)) / 2)


@pytest.mark.parametrize("seed", range(20))
def test_the_definitions_of_forgetting_are_ordered(seed: int) -> None:
    source = random.Random(seed)
    found = drawn(source.randint(2, 8), source)

    assert found.forgetting("avalanche") == pytest.approx(-found.backward())
    assert found.forgetting("mammoth") >= 0
    assert found.forgetting("mammoth") >= found.forgetting("chaudhry") - 1e-12
    assert found.forgetting("chaudhry") >= found.forgetting("avalanche") - 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_keeps_all_forgets_nothing(seed: int) -> None:
    source = random.Random(seed)
    kept = [source.random() for _ in range(5)]
    found = ContinualMatrix(scores=[kept] * 5, untrained=kept)

    for variant in ("chaudhry", "mammoth", "avalanche"):
        assert found.forgetting(variant) == 0
    assert found.backward() == found.forward() == found.gained() == 0
    assert found.accuracy() == found.learned() == pytest.approx(fmean(kept))


def test_losses_count_as_their_negatives() -> None:
    nats = [[1.0, 5.0], [3.0, 2.0]]
    found = ContinualMatrix(scores=[[-n for n in row] for row in nats], untrained=[-6.0, -6.0])

    assert found.forgetting("avalanche") == 2.0  # the first task costs two nats more
    assert found.gained() == 4.5


@pytest.mark.parametrize("shape", [[[1.0]], [[1.0, 0.5]], [[1.0], [0.5, 0.2]]])
def test_only_a_square_of_two_tasks_or_more_is_a_matrix(shape: list[list[float]]) -> None:
    with pytest.raises(AssertionError):
        ContinualMatrix(scores=shape, untrained=[0.0] * len(shape[0]))
