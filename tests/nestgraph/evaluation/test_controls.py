"""What stands beside a model in a table."""

from __future__ import annotations

import dataclasses

import pytest

from nestgraph.analysis.costs import total
from nestgraph.errors import SpecError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.controls import ablations_of, controls_of
from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.results import evaluate
from nestgraph.evaluation.sides import sides_of
from nestgraph.language.spec import Spec, load
from nestgraph.language.system import Training

SIZES = {"vars.width": 32, "vars.depth": 1}


def test_all_controls_are_static_ones_of_three_sizes_and_rates_off():
    spec = load("titans-lmm", SIZES)
    plain, parameters, flops, off = controls_of(spec, "all")

    assert [one.name for one in (plain, parameters, flops, off)] == [
        "static",
        "static, equal parameters",
        "static, equal FLOPs",
        "rates off",
    ]
    whole = total(spec.system)
    assert total(plain.spec.system).parameters < 0.95 * whole.parameters
    assert total(parameters.spec.system).parameters == pytest.approx(whole.parameters, rel=0.01)
    assert total(flops.spec.system).flops == pytest.approx(whole.flops, rel=0.01)
    assert total(off.spec.system).parameters == whole.parameters
    assert (plain.note, off.note) == ("", "")
    assert "times as wide" in parameters.note
    assert controls_of(spec, "none") == ()
    assert [one.name for one in controls_of(spec, "rates-off")] == ["rates off"]


def test_what_has_no_rates_has_static_controls_alone():
    assert {
        one.name.partition(",")[0] for one in controls_of(load("transformer", SIZES), "all")
    } == {"static"}
    with pytest.raises(SpecError, match="NG955"):
        controls_of(load("transformer"), "rates-off")


def test_ablations_are_named_by_what_they_leave_out():
    made = ablations_of(load("titans-lmm", SIZES), ["momentum", "retention"])

    assert [(one.name, one.spec.system.name) for one in made] == [
        ("without momentum", "titans-lmm-without-momentum"),
        ("without retention", "titans-lmm-without-retention"),
    ]


def test_each_spec_is_followed_by_what_was_made_from_it_with_the_settings_of_the_task(small):
    task = find_task("mqar:T=16,K=2,V=64")
    spec = small(training__batch=3, training__clip=0.5)
    whole, *others = sides_of([spec], task, controls="all", ablations=("dgd",))

    assert [one.name.removeprefix(f"{whole.name}: ").partition(" (")[0] for one in others] == [
        "static",
        "static, equal parameters",
        "static, equal FLOPs",
        "rates off",
        "without dgd",
    ]
    assert {one.of for one in others} == {whole.name}
    trained = {
        one.name: fitted(one.spec, task, rate=2e-3, seed=5, steps=40, constant=False)
        for one in (whole, *others)
    }
    assert len({str(spec_training(one)) for one in trained.values()}) == 1
    assert spec_training(trained[whole.name])["batch"] == 3
    _, equal, flops, *_ = others
    cost = total(trained[whole.name].system)
    assert total(trained[equal.name].system).parameters == pytest.approx(cost.parameters, rel=0.01)
    assert total(trained[flops.name].system).flops == pytest.approx(cost.flops, rel=0.01)


def spec_training(spec: Spec) -> dict[str, object]:
    """Return how a spec is trained, less the places at which that was written."""
    names = {one.name for one in dataclasses.fields(Training)} - {"spans", "system"}
    return {name: getattr(spec.system.training, name) for name in sorted(names)}


def test_controls_are_trained_and_compared_by_pairs(small):
    results = evaluate(
        "mqar:T=8,K=2,V=8",
        [small()],
        seeds=(0,),
        steps=1,
        rates=(1e-3,),
        controls="rates-off",
        ablate=("dgd",),
    )

    names = [cell.side for cell in results.cells]
    assert [name.removeprefix(f"{names[0]}: ") for name in names[1:]] == [
        "rates off",
        "without dgd",
    ]
    assert {cell.of for cell in results.cells[1:]} == {names[0]}


def test_an_unknown_ablation_is_told_with_those_that_there_are(small):
    with pytest.raises(SpecError, match=r"NG937 nothing called `dg` can be left out; .*`dgd`"):
        sides_of([small()], find_task("mqar"), controls="none", ablations=("dg",))
    with pytest.raises(SpecError, match="`inner-q`"):
        sides_of([small()], find_task("mqar"), controls="none", ablations=("attention",))


def test_specs_can_be_made_as_large_as_the_first_with_the_settings_of_the_task(small):
    task = find_task("mqar:T=16,K=2,V=64")
    sizes = {"vars.width": 64, "vars.depth": 2}
    first = load("titans-lmm", sizes)
    other = load("transformer", {**sizes, "training.batch": 5})
    for match in ("parameters", "flops"):
        left, right = sides_of([first, other], task, controls="none", ablations=(), match=match)
        costs = [
            total(fitted(one.spec, task, rate=1e-3, seed=0, steps=5, constant=False).system)
            for one in (left, right)
        ]

        assert left.name == "titans-lmm"
        assert right.name.startswith("transformer (`")
        assert " instead of " in right.name
        assert right.of == ""
        ours, theirs = (getattr(cost, match) for cost in costs)
        assert theirs == pytest.approx(ours, rel=0.01)
        trained = fitted(right.spec, task, rate=1e-3, seed=0, steps=5, constant=False)
        assert trained.system.training.batch == 5
    twins = [small(), small(name="twin")]
    for one, spec in zip(
        sides_of(twins, task, controls="none", ablations=(), match="flops"), twins, strict=True
    ):
        assert one.name == spec.path
