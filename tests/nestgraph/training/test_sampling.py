"""Choosing tokens: temperature, top-k, and what makes no sense."""

from __future__ import annotations

import math

import pytest
import torch

from nestgraph.errors import InputError
from nestgraph.training.sampling import Taste, choose


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_temperature_0_takes_the_likeliest() -> None:
    scores = torch.randn(4, 9)

    assert torch.equal(choose(scores, Taste(temperature=0)), scores.argmax(-1))


def test_tokens_come_as_often_as_their_odds_say() -> None:
    scores = torch.randn(6)
    taste = Taste(temperature=0.7, generator=generator())

    drawn = choose(scores.expand(20_000, 6), taste)

    shares = drawn.bincount(minlength=6) / 20_000
    torch.testing.assert_close(shares, torch.softmax(scores / 0.7, 0), atol=0.02, rtol=0)


def test_top_k_leaves_exactly_the_best_k_even_among_equals() -> None:
    scores = torch.tensor([1.0, 3.0, 3.0, 3.0, 2.0]).expand(2000, 5)

    drawn = choose(scores, Taste(top_k=2, generator=generator()))

    assert len(set(drawn.tolist())) == 2
    assert set(drawn.tolist()) <= {1, 2, 3}


def test_a_top_k_beyond_the_vocabulary_leaves_everything() -> None:
    drawn = choose(torch.zeros(500, 3), Taste(top_k=99, generator=generator()))

    assert set(drawn.tolist()) == {0, 1, 2}


def test_no_temperature_is_too_low() -> None:
    scores = torch.tensor([[50.0, -50.0, 49.0]])

    assert choose(scores, Taste(temperature=1e-300, generator=generator())).tolist() == [0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -0.1}, r"temperature \(=-0\.1\) must be 0"),
        ({"temperature": math.nan}, r"temperature \(=nan\)"),
        ({"temperature": math.inf}, r"temperature \(=inf\)"),
        ({"top_k": 0}, r"top-k \(=0\) must be 1 or more"),
    ],
)
def test_settings_that_choose_nothing_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Taste(**settings)  # type: ignore[arg-type]


def test_scores_that_are_no_numbers_are_an_error_of_the_training() -> None:
    with pytest.raises(InputError, match="not finite numbers; its training went wrong"):
        choose(torch.tensor([[0.0, math.nan]]), Taste())
