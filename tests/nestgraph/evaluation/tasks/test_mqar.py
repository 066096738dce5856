"""MQAR and its variant, against a reader of rows of its own."""

from __future__ import annotations

import random

import pytest
import torch

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Split
from nestgraph.runtime.labels import IGNORED


def answers(tokens: list[int], keys: range) -> list[int]:
    """Return what is right at each position of a row: the value that followed a key before, if
    any.
    """
    known: dict[int, int] = {}
    found = []
    for at, token in enumerate(tokens):
        writes = token in keys and at + 1 < len(tokens) and tokens[at + 1] >= keys.stop
        found.append(known[token] if token in known and token in keys and not writes else IGNORED)
        if writes:
            known[token] = tokens[at + 1]
    return found


def drawn_settings() -> tuple[int, int, int]:
    """T, K and V that go together."""
    K = random.randint(1, 12)
    V = 2 * random.randint(K + 1, 40)
    return 4 * K + 2 * random.randint(0, 20), K, V


@pytest.mark.parametrize("split", list(Split))
def test_labels_are_the_values_that_followed_the_keys(split):
    T, K, V = drawn_settings()
    task = find_task(f"mqar:T={T},K={K},V={V}")
    batch = task.draw(split, random.randrange(2**31), 32)
    for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        assert targets == answers(tokens, range(1, V // 2))
        pairs = tokens[: 2 * K]
        assert len(set(pairs[::2])) == len(set(pairs[1::2])) == K
        assert sorted(token for token in tokens[2 * K :] if token) == sorted(pairs[::2])
        assert all(token == 0 for token in tokens[2 * K + 1 :: 2])


def test_fillers_may_be_any_tokens_and_the_queries_stay():
    plain, noisy = (
        find_task(f"mqar:T=64,K=4,V=32,random_non_queries={word}").draw(Split.TEST, 7, 64)
        for word in ("false", "true")
    )
    assert torch.equal(plain.targets, noisy.targets)
    kept = plain.tokens != 0
    assert torch.equal(plain.tokens[kept], noisy.tokens[kept])
    assert len(noisy.tokens[~kept].unique()) == 32


def test_near_queries_are_likelier_as_the_power_law_says():
    near, even = (
        find_task(f"mqar:T=72,K=1,V=8,a={a}").draw(Split.TEST, 11, 6000).targets for a in (0.01, 1)
    )
    slots = 35
    weights = torch.arange(1, slots + 1, dtype=torch.float64) ** -0.99
    expected = {0.01: weights / weights.sum(), 1: torch.full((slots,), 1 / slots)}
    for a, targets in ((0.01, near), (1, even)):
        at = (targets != IGNORED).nonzero()[:, 1]
        share = torch.bincount((at - 2) // 2, minlength=slots) / 6000
        assert (share - expected[a]).abs().max() < 0.03


@pytest.mark.parametrize("split", list(Split))
def test_of_a_key_that_is_assigned_anew_the_last_value_counts(split):
    T, K, V = 80, random.randint(2, 9), 64
    U = random.randint(1, K)
    task = find_task(f"forgetting-mqar:T={T},K={K},U={U},V={V}")
    batch = task.draw(split, random.randrange(2**31), 32)
    for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        assert targets == answers(tokens, range(1, V // 2))
        written = tokens[: 2 * (K + U)]
        assert len(set(written[1::2])) == K + U
        again = written[2 * K :: 2]
        assert len(set(again)) == U
        assert set(again) <= set(written[: 2 * K : 2])
        assert sum(label != IGNORED for label in targets) == K


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mqar:K=17", "`T` (=64) must be at least 68"),
        ("mqar:T=63", "`T` (=63) must be even"),
        ("mqar:V=7", "`V` (=7) must be even"),
        ("mqar:V=2", "`V` (=2) must be even and at least 4"),
        ("mqar:V=8,K=4", "`K` (=4) must be at most V / 2 - 1 (=3)"),
        ("mqar:a=0", "`a` (=0.0) must be above 0"),
        ("forgetting-mqar:U=0", "`U` (=0) must be from 1 to K (=8)"),
        ("forgetting-mqar:U=9", "`U` (=9) must be from 1 to K (=8)"),
        ("forgetting-mqar:V=18,K=8,U=2", "`V` (=18) has 9 values, and a row needs 10"),
    ],
)
def test_settings_that_fit_no_row_are_refused(text, words):
    with pytest.raises(InputError, match="NG931") as refused:
        find_task(text)
    assert words in str(refused.value)
