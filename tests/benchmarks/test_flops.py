"""The formulas against what is really multiplied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, baddbmm_flop

from benchmarks import flops, plain
from benchmarks.steps import Size
from benchmarks.suites import diagonal_delta
from benchmarks.suites import self_modifying_titans as titans

SIZE = Size(batch=2, time=64, width=128, heads=4)


def executed(call: Callable[[], object]) -> int:
    """Return FLOPs of all matrix products, those in place included."""

    def in_place(left: Any, a: Any, b: Any, **_: object) -> int:
        return baddbmm_flop(left, a, b)

    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: in_place})
    with counter:
        call()
    return counter.get_total_flops()


def test_the_formula_of_attention_is_its_projections_and_half_of_all_pairs() -> None:
    count = flops.attention_mixer(SIZE)
    mixer, x = plain.AttentionMixer(SIZE.width, SIZE.heads), torch.randn(2, 64, 128)
    projections, pairs = (SIZE.tokens * part.flops for part in count.parts)
    assert executed(lambda: mixer(x)) == projections  # PyTorch doesn't count attention on a CPU
    met = SIZE.batch * SIZE.time * (SIZE.time + 1) / 2
    assert pairs == met * 2 * 2 * SIZE.width
    assert count.total == 3 * (projections + pairs)


@pytest.mark.parametrize("chunk", [8, 16])
def test_the_formula_of_the_memories_claims_what_is_multiplied(chunk: int) -> None:
    """Forward never more; in all at most a twentieth more, where erases share their backward."""
    count = flops.self_modifying_titans(SIZE, *titans.shape_of(titans.system_at(SIZE, chunk)))
    step = titans.titans_step(SIZE, chunk)
    assert 1 <= executed(step.forward) / (count.total / 3) < 1.25
    assert 0.95 <= executed(step) / count.total < 1.4


@pytest.mark.parametrize("rule", diagonal_delta.RULES, ids=lambda rule: rule.name)
def test_the_formula_of_memories_by_channel_claims_what_is_multiplied(
    rule: diagonal_delta.Rule,
) -> None:
    """Forward and in all, products whose half is zero and the last answer left out."""
    count = diagonal_delta.count(SIZE, rule)
    step = diagonal_delta.step(SIZE, rule, diagonal_delta.chunked)
    assert 0.97 <= executed(step.forward) / (count.total / 3) < 1.25
    assert 0.95 <= executed(step) / count.total < 1.4


def test_a_count_explains_itself() -> None:
    count = flops.attention_mixer(SIZE)
    head, *lines = count.lines("attention")
    assert head.startswith("attention: ")
    assert len(lines) == len(count.parts)
    assert all(part.formula in line for part, line in zip(count.parts, lines, strict=True))
