"""Ablations: a spec with all its parts but one."""

from __future__ import annotations

from dataclasses import replace

import building
import pytest
import strategies
from hypothesis import given, settings

import nestgraph as ng
from nestgraph.analysis.parameters import parameter_table
from nestgraph.errors import SpecError
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.language.system import ONE, ZERO, Erase, FlatBlock, Rule
from nestgraph.rewriting import ABLATIONS, ablated

SIZES = {"vars.width": 16, "vars.heads": 2, "vars.depth": 1}


def block_of(spec: Spec) -> FlatBlock:
    model = spec.system.model
    assert model is not None
    return model.layers[0].block


def rules(spec: Spec) -> dict[str, Rule]:
    """Return the rules of memories that learn in context, less the places at which they were
    written.
    """
    return {
        name: replace(
            memory.rule,
            spans={},
            erase=replace(memory.rule.erase, span=None),
            **{
                field: replace(getattr(memory.rule, field), span=None)
                for field in ("rate", "momentum", "retain", "step")
            },
        )
        for name, memory in block_of(spec).memories.items()
        if not memory.is_step_group
    }


def test_without_dgd_memories_erase_nothing():
    plain = load("self-modifying-titans", {**SIZES, "vars.erase": "none"})

    for erase in ("layers", "key"):
        made = ablated(load("self-modifying-titans", {**SIZES, "vars.erase": erase}), "dgd")
        assert made.system.name == "self-modifying-titans-without-dgd"
        assert rules(made) == rules(plain)


def test_without_dgd_an_implicit_rate_that_only_the_erase_had_goes_too():
    made = ablated(
        model("""
        memories:
          A: {keys: x, values: x, objective: dot, rule: {rate: 0.5, erase: key, implicit: true}}
          B: {keys: x, values: x, rule: {rate: 0.5, erase: {key: e, rate: 0.1}, retain: 0.9}}
        nodes:
          e: {op: linear, in: x}
          a: {read: A, query: x}
          b: {read: B, query: x}
          out: {op: sum, in: [x, a, b]}
        """),
        "dgd",
    )

    assert [one.erase for one in rules(made).values()] == [Erase(), Erase()]
    assert not any(one.implicit for one in rules(made).values())
    assert "e" not in block_of(made).nodes


def test_without_momentum_and_retention_memories_have_the_defaults():
    spec = load("titans-lmm", SIZES)
    assert all(one.momentum != ZERO and one.retain != ONE for one in rules(spec).values())

    without = {name: rules(ablated(spec, name)) for name in ("momentum", "retention")}

    for name, rule in rules(spec).items():
        assert without["momentum"][name] == replace(rule, momentum=ZERO)
        assert without["retention"][name] == replace(rule, retain=ONE, retain_first=False)
    lost = {one.name for one in parameter_table(spec.system)} - {
        one.name for one in parameter_table(ablated(spec, "retention").system)
    }
    assert lost
    assert {name.partition("lmm.")[2].partition(".")[0] for name in lost} == {"keep"}


def test_without_retention_a_memory_that_only_made_it_goes():
    spec = load("self-modifying-titans", SIZES)

    assert {*block_of(spec).memories} - {*block_of(ablated(spec, "retention")).memories} == {
        "M_alpha"
    }


def test_without_cms_the_same_nets_have_one_clock():
    spec = load("hope-attention", SIZES)
    made = ablated(spec, "cms")

    before = parameter_table(spec.system)
    assert {one.period for one in before} == {1, 4, 16}
    assert [(one.name, one.shape, one.std, one.period) for one in parameter_table(made.system)] == [
        (one.name, one.shape, one.std, 1) for one in before
    ]
    assert rules(made) == rules(spec)


def test_without_cms_nets_that_learned_while_they_read_only_learn_in_training():
    spec = load("hope-online", SIZES)
    made = ablated(spec, "cms")

    assert not any(memory.is_online for memory in block_of(made).memories.values())
    assert [one.shape for one in parameter_table(made.system)] == [
        one.shape for one in parameter_table(spec.system)
    ]
    assert made.system.model.horizon is None


@pytest.mark.parametrize(
    ("name", "memory"), [("inner-k", "M_k"), ("inner-v", "M_v"), ("inner-q", "M_q")]
)
def test_what_makes_keys_values_or_queries_is_a_map_and_the_rest_learns_on(name: str, memory: str):
    spec = load("self-modifying-titans-adaptive-q", SIZES)
    made = ablated(spec, name)

    maps = {one for one, held in block_of(made).memories.items() if held.is_step_group}
    assert maps == {memory}
    assert rules(made) == {one: rule for one, rule in rules(spec).items() if one != memory}
    assert ng.compile(made) is not None


def test_a_maker_is_found_through_ops_and_inner_blocks_but_not_if_it_answers_too():
    text = """
    nestgraph: 1
    name: inner
    blocks:
      store:
        inputs: [key, ask]
        memories: {M: {keys: key, values: ask, rule: {rate: 0.1}}}
        nodes: {out: {read: M, query: ask, at: boundary}}
      layer:
        nodes:
          a: {block: store, in: [x, x]}
          long: {op: linear, in: a, then: [{op: l2_norm}]}
          b: {block: store, in: [long, x]}
          out: {op: sum, in: [x, b]}
    model: {embed: {vocab: 5, width: 8}, stack: [{block: layer}]}
    """
    made = block_of(ablated(building.spec_of(text), "inner-k")).memories

    assert {name: memory.is_step_group for name, memory in made.items()} == {
        "a.M": True,
        "b.M": False,
    }
    with pytest.raises(SpecError, match="NG955 `inner` has no memory that only makes keys"):
        ablated(building.spec_of(text.replace("in: [x, b]", "in: [x, a, b]")), "inner-k")


@pytest.mark.parametrize(
    ("spec", "name", "part"),
    [
        ("deltanet", "dgd", "memory that erases before it writes"),
        ("deltanet", "momentum", "memory with momentum"),
        ("srwm", "retention", "memory that forgets"),
        ("titans-lmm", "cms", "memory on a slower clock than the optimizer's"),
        ("srwm", "inner-k", "memory that only makes keys"),
        ("titans-mac", "inner-v", "memory that only makes values"),
        ("deltanet", "inner-q", "memory that only makes queries"),
    ],
)
def test_an_ablation_of_what_a_spec_lacks_is_refused(spec: str, name: str, part: str):
    with pytest.raises(SpecError, match=f"NG955 `{spec}` has no {part}, so it is without"):
        ablated(load(spec), name)


def test_an_optimizer_has_no_ablations():
    with pytest.raises(SpecError, match="NG955 `m3` is an optimizer"):
        ablated(load("m3"), "momentum")


def model(body: str) -> Spec:
    levels = "{chunk: 4 tokens, slow: 5 steps}"
    return building.spec_of(building.model_text(body, 8, levels))


def tried(spec: Spec, name: str) -> Spec | set[str]:
    """Return the spec without one of its parts, or the codes that say why there is none."""
    try:
        return ablated(spec, name)
    except SpecError as error:
        return {one.code for one in error.diagnostics}


@settings(max_examples=10)
@given(strategies.specs())
def test_every_ablation_of_any_spec_checks_or_is_refused(drawn: dict[str, object]):
    spec = building.spec_of(strategies.as_yaml(drawn))
    for name in ABLATIONS:
        made = tried(spec, name)
        if isinstance(made, Spec):
            assert made.system.name == f"random-without-{name}"
            assert tried(made, name) == {"NG955"}
        else:
            assert made == {"NG955"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.names() if name.endswith("-tiny")])
def test_every_ablation_of_the_zoo_compiles_or_is_refused(name: str):
    spec = load(name, {"vars.depth": 1})
    for one in ABLATIONS:
        made = tried(spec, one)
        if isinstance(made, Spec):
            assert made.warnings == ()
            ng.compile(made)
        else:
            assert made == {"NG955"}


def test_without_retention_nothing_pulls_towards_the_start():
    place = "blocks.lmm.memories.M.rule.retain"
    spec = load("titans-lmm", {**SIZES, place: "{flow: keep, towards: init}"})
    assert [one.towards for one in rules(spec).values()] == ["init"] * len(rules(spec))

    made = rules(ablated(spec, "retention"))

    assert made == rules(ablated(load("titans-lmm", SIZES), "retention"))
    assert {one.towards for one in made.values()} == {"zero"}
