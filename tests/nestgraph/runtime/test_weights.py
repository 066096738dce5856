"""Weights are named as their table says, and each depends only on the seed and its name."""

from __future__ import annotations

import math

import pytest
import torch

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.runtime.weights import Weights, draw

TABLE = (
    ParameterSpec(name="embed.weight", shape=(50, 40), init="normal", std=0.02),
    ParameterSpec(name="0.hope.type.half.weight", shape=(3, 4), init="normal", std=1.0),
    ParameterSpec(name="0.hope.type.bias", shape=(3,), init="zeros"),
    ParameterSpec(name="0.hope.g.gain", shape=(3,), init="ones"),
    ParameterSpec(name="0.hope.b.bias", shape=(3,), init="constant", value=8.0),
    ParameterSpec(name="0.hope.M.W0", shape=(2, 3, 4), init="identity", role="state"),
    ParameterSpec(name="0.hope.p.coefficients", shape=(4,), init="taylor"),
    ParameterSpec(name="0.hope.c.value", shape=(5,), init="spread", value=-1, last=3, run=5),
    ParameterSpec(name="0.hope.d.a", shape=(6,), init="spread", value=1, last=9, run=3, log=True),
)


def test_state_dict_keys_are_the_names_of_the_table_even_where_modules_use_them():
    weights = Weights(TABLE)

    assert set(weights.state_dict()) == {spec.name for spec in TABLE}
    assert list(weights.named()) == [spec.name for spec in TABLE]


def test_a_state_dict_loads_into_weights_of_another_seed():
    first, second = Weights(TABLE, seed=1), Weights(TABLE, seed=2)

    second.load_state_dict(first.state_dict())

    for name, parameter in first.named().items():
        assert torch.equal(parameter, second.named()[name])


def test_every_kind_of_start_is_drawn_as_said():
    named = {name: p.detach() for name, p in Weights(TABLE, dtype=torch.float64).named().items()}

    assert named["embed.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    assert named["0.hope.type.bias"].eq(0).all()
    assert named["0.hope.g.gain"].eq(1).all()
    assert named["0.hope.b.bias"].eq(8).all()
    assert torch.equal(named["0.hope.M.W0"], torch.eye(3, 4).double().expand(2, 3, 4))
    assert named["0.hope.p.coefficients"].tolist() == [1 / math.factorial(i) for i in range(4)]
    assert named["0.hope.c.value"].tolist() == [-1, 0, 1, 2, 3]
    assert named["0.hope.d.a"].exp().tolist() == pytest.approx([1, 5, 9, 1, 5, 9])


def test_a_parameter_depends_on_its_own_name_and_the_seed_alone():
    spec = TABLE[1]
    other = ParameterSpec(name="0.hope.type.half.bias", shape=(3, 4), init="normal", std=1.0)

    alone = Weights([spec], seed=3).named()[spec.name]
    among = Weights(reversed(TABLE), seed=3).named()[spec.name]

    assert torch.equal(alone, among)
    assert not torch.equal(draw(spec, 3), draw(spec, 4))
    assert not torch.equal(draw(spec, 3), draw(other, 3))


def test_both_dtypes_start_alike():
    double = Weights(TABLE, seed=5, dtype=torch.float64).named()

    for name, parameter in Weights(TABLE, seed=5).named().items():
        assert torch.equal(parameter, double[name].float())


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)

    Weights(TABLE, seed=9)

    assert torch.equal(torch.rand(1), expected)


def test_a_fixed_state_is_not_trained():
    fixed = ParameterSpec(name="0.b.M.W0", shape=(1, 2, 2), init="normal", std=1.0, trained=False)

    assert not Weights([fixed]).named()["0.b.M.W0"].requires_grad
