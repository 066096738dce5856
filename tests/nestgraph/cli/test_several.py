"""Options that take several values."""

from __future__ import annotations

import pytest

from nestgraph.cli.several import spread


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("mqar hope --seeds 0 1 2", "mqar hope --seeds 0 --seeds 1 --seeds 2"),
        ("mqar --seeds 0 1 hope", "mqar --seeds 0 --seeds 1 hope"),
        ("--lr 1e-3 3e-3 -o f", "--lr 1e-3 --lr 3e-3 -o f"),
        ("--lr=1e-3 3e-3 hope", "--lr=1e-3 --lr 3e-3 hope"),
        ("--seeds 1 --seeds 2 3", "--seeds 1 --seeds 2 --seeds 3"),
        ("--seeds -1 -2", "--seeds -1 --seeds -2"),
        ("--ablate cms momentum --steps 5", "--ablate cms --ablate momentum --steps 5"),
        ("--seeds", "--seeds"),
        ("--seeds hope", "--seeds hope"),
        ("--steps 5 6", "--steps 5 6"),
        ("mqar -- --seeds 1 2", "mqar -- --seeds 1 2"),
        ("--seeds 1 -- 2", "--seeds 1 -- 2"),
    ],
)
def test_values_that_follow_an_option_are_all_its_own(given, read):
    assert spread(given.split()) == read.split()
