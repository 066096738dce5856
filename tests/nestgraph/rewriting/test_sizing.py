"""Counterparts of one size: within a hundredth, by parameters or by FLOPs."""

from __future__ import annotations

import re

import building
import pytest

from nestgraph.analysis.costs import total
from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec, load
from nestgraph.rewriting import Measure, as_large, static, static_as_large


def amount(spec: Spec, measure: Measure) -> float:
    cost = total(spec.system)
    return {Measure.PARAMETERS: cost.parameters, Measure.FLOPS: cost.flops}[measure]


@pytest.mark.parametrize("measure", Measure)
@pytest.mark.parametrize("name", ["titans-lmm-tiny", "mamba-2-tiny", "hope-online-tiny"])
def test_a_static_counterpart_is_as_large_by_the_width_of_its_maps(name: str, measure: Measure):
    spec = load(name)
    sized = static_as_large(spec, measure)

    assert amount(static(spec), measure) != pytest.approx(amount(spec, measure), rel=0.01)
    assert amount(sized.spec, measure) == pytest.approx(amount(spec, measure), rel=0.01)
    assert (sized.wanted, sized.found) == (amount(spec, measure), amount(sized.spec, measure))
    factor = re.fullmatch(r"hidden layers of maps are ([\d.]+) times as wide", sized.changed)
    assert factor
    again = static(spec, hidden=float(factor[1]))
    assert amount(again, measure) == pytest.approx(sized.found, rel=1e-9)


def test_hidden_layers_keep_their_proportions():
    spec = load("hope-online", {"vars.width": 32, "vars.depth": 1})
    memories = static(spec, hidden=3).system.model.layers[0].block.memories
    before = spec.system.model.layers[0].block.memories

    assert {name: one.net.expansion for name, one in memories.items()} == {
        name: 3 * before[name].net.expansion for name in memories
    }


def test_what_agrees_already_is_not_changed():
    spec = load("srwm-tiny")

    same = static_as_large(spec, Measure.PARAMETERS)
    other = as_large(load("transformer-tiny"), spec, Measure.PARAMETERS)

    assert (same.changed, other.changed) == ("", "")
    assert same.spec.resolved_yaml() == static(spec).resolved_yaml()
    assert other.spec.overrides == {}


@pytest.mark.parametrize("measure", Measure)
@pytest.mark.parametrize(
    ("name", "var"),
    [("transformer-tiny", "hidden"), ("hope-attention-tiny", "expansion"), ("mamba-2", "inner")],
)
def test_a_spec_becomes_as_large_as_another_by_the_finest_of_its_vars(
    name: str, var: str, measure: Measure
):
    spec, target = load(name), load("titans-lmm", {"vars.width": 160})
    sized = as_large(spec, target, measure)

    assert amount(sized.spec, measure) == pytest.approx(amount(target, measure), rel=0.01)
    said = re.fullmatch(rf"`{var}` is ([\d.]+) instead of ([\d.]+)", sized.changed)
    assert said
    values = {field.name: field.value for field in sized.spec.variables()}
    before = {field.name: field.value for field in spec.variables()}
    assert [float(values[var]), float(before[var])] == [float(said[1]), float(said[2])]
    assert {name for name in values if values[name] != before[name]} >= {var}


def model(body: str) -> Spec:
    return building.spec_of(building.model_text(body, 8, "{}"))


def test_a_size_that_nothing_reaches_is_refused_with_the_nearest():
    small = model("nodes: {out: {op: linear, in: x}}")
    with pytest.raises(
        SpecError, match="NG956 no value of `hidden`, `inner`, `expansion` or `width`, "
    ):
        as_large(small, load("transformer-tiny"), Measure.PARAMETERS)
    vector = model(
        "{memories: {V: {net: vector, values: w}}, nodes: {w: {op: linear, in: x, out: 8},"
        " v: {read: V}, out: {op: sum, in: [x, v]}}}"
    )
    with pytest.raises(SpecError, match="NG956 no width of the hidden layers of its maps gives"):
        static_as_large(vector, Measure.PARAMETERS)


def test_optimizers_have_no_size_to_agree_on():
    for pair in ((load("m3"), load("transformer-tiny")), (load("transformer-tiny"), load("m3"))):
        with pytest.raises(SpecError, match="NG955 `m3` is an optimizer"):
            as_large(*pair, Measure.PARAMETERS)
