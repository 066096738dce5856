"""Ticks of the levels that count tokens."""

from __future__ import annotations

import pytest

from nestgraph.language.spec import Spec
from nestgraph.training.levels import commits, token_levels


def test_levels_of_memories_on_tokens_are_listed_without_attention_and_step_groups(
    spec: Spec,
) -> None:
    assert token_levels(spec.system) == {"context": 3}


@pytest.mark.parametrize(
    ("period", "time", "count"), [(1, 1, 0), (1, 5, 4), (4, 4, 0), (4, 5, 1), (4, 9, 2), (4, 12, 2)]
)
def test_a_level_ticks_when_the_first_token_of_its_next_period_comes(
    period: int, time: int, count: int
) -> None:
    assert commits(period, time) == count
