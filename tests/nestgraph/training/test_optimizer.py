"""The outer optimizer: which parameters share a group, and the rate at each step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.compiler.optimizers import NestedOptimizer
from nestgraph.language.spec import load
from nestgraph.language.system import Training
from nestgraph.training.optimizer import build_optimizer, build_schedule, learning_rate, retune

TABLE = (
    ParameterSpec(name="embed.weight", shape=(4, 2), init="normal", role="embedding"),
    ParameterSpec(name="u.gain", shape=(2,), init="ones", role="vector"),
    ParameterSpec(name="M.norm.gain", shape=(2, 2), init="ones", role="vector"),
    ParameterSpec(name="M.W0", shape=(1, 2, 2), init="normal", role="state"),
    ParameterSpec(
        name="F.W0", shape=(1, 2, 2), init="normal", role="state", period=4, level="fast"
    ),
    ParameterSpec(name="F.b0", shape=(2,), init="zeros", role="state", period=4, level="fast"),
    ParameterSpec(name="fixed.W0", shape=(1, 2, 2), init="normal", role="state", trained=False),
)


def parameters() -> list[tuple[ParameterSpec, nn.Parameter]]:
    return [(spec, nn.Parameter(torch.ones(spec.shape), spec.trained)) for spec in TABLE]


def training_of(**settings: object) -> Training:
    """Return the `training` of a spec with its optimizer read."""
    given = {f"training.{key}": value for key, value in settings.items()}
    return load("transformer-tiny", set=given).system.training


def test_clocks_and_decay_make_the_groups() -> None:
    pairs = parameters()
    names = {parameter: spec.name for spec, parameter in pairs}

    optimizer = build_optimizer(
        pairs, training_of(weight_decay=0.3, betas=[0.8, 0.9], lr=0.02, min_lr=0)
    )

    found = {
        (group["level"], group["period"], decay(optimizer, group["rule"])): []
        for group in optimizer.param_groups
    }
    for group in optimizer.param_groups:
        key = (group["level"], group["period"], decay(optimizer, group["rule"]))
        found[key] += [names[parameter] for parameter in group["params"]]
    assert found == {
        ("step", 1, 0.3): ["embed.weight", "M.W0"],
        ("step", 1, 0.0): ["u.gain", "M.norm.gain"],
        ("fast", 4, 0.3): ["F.W0"],
        ("fast", 4, 0.0): ["F.b0"],
    }
    assert all(group["lr"] == 0.02 for group in optimizer.param_groups)


def decay(optimizer: NestedOptimizer, rule: int) -> float:
    """Return how much of a parameter one step at rate 1 takes away."""
    node = optimizer.rules[rule].block.nodes["keep"]
    return -node.fields["scale"]  # type: ignore[union-attr, operator]


def test_the_rate_warms_up_and_falls_along_a_cosine_to_its_floor() -> None:
    training = Training(lr=1.0, min_lr=0.2, warmup=4, steps=14)

    rates = [learning_rate(training, step) for step in range(20)]

    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[9] == pytest.approx(0.6)  # half way down
    assert rates[6] == pytest.approx(0.2 + 0.4 * (1 + math.cos(math.pi * 0.2)))
    assert rates[4:15] == sorted(rates[4:15], reverse=True)
    assert rates[14:] == [0.2] * 6


def test_a_run_shorter_than_its_warm_up_only_warms_up() -> None:
    training = Training(lr=1.0, min_lr=0.1, warmup=9, steps=3)

    assert [learning_rate(training, step) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_all_groups_follow_the_schedule() -> None:
    training = training_of(lr=0.05, min_lr=0.01, warmup=2, steps=6)
    optimizer = build_optimizer(parameters(), training)
    schedule = build_schedule(optimizer, training)

    for step in range(7):
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(learning_rate(training, step), rel=1e-12)
        optimizer.step()
        schedule.step()


def test_new_settings_beat_those_of_a_state_and_equal_ones_change_nothing() -> None:
    training = training_of(lr=0.05, min_lr=0.01, warmup=2, steps=6, weight_decay=0.0)
    optimizer = build_optimizer(parameters(), training)
    schedule = build_schedule(optimizer, training)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    before = [dict(group, params=None) for group in optimizer.param_groups]

    retune(optimizer, schedule, training)
    assert [dict(group, params=None) for group in optimizer.param_groups] == before

    other = training_of(lr=0.5, min_lr=0.01, warmup=2, steps=60, betas=[0.1, 0.2], weight_decay=0.4)
    fresh = build_optimizer(parameters(), other)
    later = build_schedule(fresh, other)
    later.load_state_dict(schedule.state_dict())
    fresh.load_state_dict(optimizer.state_dict())
    retune(fresh, later, other)

    for group in fresh.param_groups:
        assert group["lr"] == pytest.approx(learning_rate(other, 3), rel=1e-12)
        rate = fresh.rules[group["rule"]].block.memories["first"].rule.rate.number
        assert rate == pytest.approx(0.9)
    fresh.step()
    later.step()
    assert fresh.param_groups[0]["lr"] == pytest.approx(learning_rate(other, 4), rel=1e-12)
