"""Clocks of a stream: one for all, or the only things that move."""

from __future__ import annotations

import pytest

from nestgraph import training
from nestgraph.analysis.parameters import parameter_table
from nestgraph.errors import InputError
from nestgraph.evaluation.continual.clocks import has_clocks, on_one_clock, still_but_levels
from nestgraph.language.spec import Spec, load


def test_one_clock_keeps_every_parameter_and_moves_all_at_every_step(clocked: Spec) -> None:
    before, after = (parameter_table(spec.system) for spec in (clocked, on_one_clock(clocked)))

    assert {each.period for each in before} == {1, 2, 4}
    assert {each.period for each in after} == {1}
    assert [(one.name, one.shape) for one in before] == [(one.name, one.shape) for one in after]
    assert has_clocks(clocked)
    assert not has_clocks(on_one_clock(clocked))


def test_clocks_of_tokens_stay() -> None:
    spec = load("hope-tiny")
    one = on_one_clock(spec)
    assert one.system.clocks["context"].period == spec.system.clocks["context"].period == 8
    assert {one.system.clocks[name].period for name in ("fast", "mid", "slow")} == {1}


def test_only_memories_on_steps_can_learn_when_all_else_is_still(clocked: Spec) -> None:
    module = training.compile(clocked)
    still_but_levels(module)
    moving = {name for name, p in module.named_parameters() if p.requires_grad}
    assert moving
    assert moving == {name for name, _ in module.named_parameters() if ".M.W" in name}


def test_a_spec_without_such_memories_has_nothing_to_learn() -> None:
    module = training.compile(load("transformer-tiny", {"vars.depth": 1, "vars.width": 16}))
    with pytest.raises(InputError, match=r"NG946 `moves=levels` leaves nothing to learn"):
        still_but_levels(module)
