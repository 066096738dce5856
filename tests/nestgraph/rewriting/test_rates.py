"""Rates off: the same model, whose memories never move."""

from __future__ import annotations

import re

import building
import field_draws
import pytest
import strategies
import torch
from hypothesis import given, settings

import nestgraph as ng
from nestgraph.analysis.parameters import parameter_table
from nestgraph.analysis.support import unsupported
from nestgraph.errors import SpecError
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.rewriting import rates_off
from nestgraph.training.states import named_tensors


def rated(spec: Spec) -> bool:
    """Return whether a memory of a model learns in context by a rate."""
    model = spec.system.model
    memories = (
        (one for layer in model.layers for one in layer.block.memories.values()) if model else ()
    )
    return any(not one.is_step_group and one.net.kind != "attention" for one in memories)


TINY = [name for name in zoo.names() if name.endswith("-tiny") and rated(load(name))]
# Beside what memories are: last inputs, what is kept of events and questions, tokens read.
OTHER = re.compile(r"tail'|\.window|\.rates|\.grams|\.share|'position'|'open'")


def states(
    module: ng.training.NestModule, tokens: torch.Tensor
) -> dict[str, tuple[torch.Tensor, ...]]:
    """Return what every memory but attention holds before and behind a text."""
    model = module.spec.system.model
    fixed = {
        f"['layers']['{layer.path}']['{name}']"
        for layer in model.layers
        for name, memory in layer.block.memories.items()
        if memory.net.kind == "attention"
    }
    before = dict(named_tensors(module.initial_state(len(tokens))))
    after = dict(named_tensors(module(tokens).state))
    return {
        name: (before[name], after[name])
        for name in after
        if not OTHER.search(name) and not any(name.startswith(one) for one in fixed)
    }


@pytest.mark.parametrize("name", TINY)
def test_what_memories_hold_behind_a_text_is_what_they_held_before_it(name: str):
    module = ng.compile(rates_off(load(name, {"vars.depth": 1}))).double()

    held = states(module, torch.randint(256, (2, 24)))

    assert held
    assert all(torch.equal(*pair) for pair in held.values())


@pytest.mark.parametrize("name", TINY)
def test_rates_off_has_the_parameters_of_the_spec_and_no_finding_of_its_own(name: str):
    spec = load(name)
    made = rates_off(spec)

    assert made.warnings == ()
    assert made.system.name == f"{name}-rates-off"
    assert [one.shape for one in parameter_table(made.system)] == [
        one.shape for one in parameter_table(spec.system)
    ]


def model(body: str) -> Spec:
    levels = "{chunk: 4 tokens, slow: 5 steps}"
    return building.spec_of(building.model_text(body, 8, levels))


def test_every_kind_of_rate_is_switched_off_and_every_flow_is_still_asked_for():
    made = rates_off(
        model("""
        memories:
          A: {heads: 2, keys: x, values: x}
          B: {heads: 2, keys: x, values: x, rule: {rate: [0.1, 0.2], retain: [0.9, 0.8]}}
          C: {heads: 2, keys: x, values: x, rule: {rate: eta, retain: alpha, erase: key}}
          D: {keys: x, values: x, rule: {rate: {flow: s, per: value}, erase: {key: x}}}
          E: {keys: x, values: x, rule: {rate: 0.1, erase: {where: key, rate: eta_one}}}
          F: {net: attention, keys: x, values: x}
          G: {level: slow, objective: task}
        nodes:
          eta: {op: linear, in: x, out: 2, then: [sigmoid]}
          eta_off: {op: linear, in: x}
          eta_one: {op: linear, in: x, out: 1, then: [sigmoid]}
          alpha: {op: linear, in: x, out: 2, then: [sigmoid]}
          s: {op: sigmoid, in: x}
          a: {read: A, query: x}
          b: {read: B, query: x}
          c: {read: C, query: x}
          d: {read: D, query: x}
          e: {read: E, query: x}
          f: {read: F, query: x}
          g: {read: G, query: x}
          out: {op: sum, in: [x, a, b, c, d, e, f, g, eta_off]}
        """)
    )
    rules = {
        line.strip().partition(":")[0]: line.partition("rule: ")[2].removesuffix("}")
        for line in made.sources[made.path].splitlines()
        if "rule: " in line
    }

    assert made.warnings == ()
    assert rules == {
        "A": "{rate: 0}",
        "B": "{rate: 0, retain: 1}",
        "C": "{rate: eta_off_, retain: alpha_kept, erase: key}",
        "D": "{rate: {flow: s_off, per: value}, erase: {key: x, rate: 0}}",
        "E": "{rate: 0, erase: {where: key, rate: eta_one_off}}",
    }
    module = ng.compile(made).double()
    held = states(module, torch.randint(5, (2, 13)))
    assert len(held) >= 5
    assert all(torch.equal(*pair) for pair in held.values())


def test_weights_of_a_spec_fit_its_rates_off_and_answer_alike_until_memories_have_moved():
    spec = load("self-modifying-titans-tiny", {"vars.depth": 1})
    on, off = ng.compile(spec).double(), ng.compile(rates_off(spec)).double()
    off.load_state_dict(on.state_dict())
    tokens = torch.randint(256, (2, 12))

    ours, theirs = off(tokens).logits, on(tokens).logits

    torch.testing.assert_close(ours[:, :8], theirs[:, :8], rtol=1e-10, atol=1e-10)
    assert (ours - theirs)[:, 8:].abs().max() > 1e-4


def test_a_spec_without_rates_is_refused():
    with pytest.raises(SpecError, match=r"NG955 no memory of `transformer` learns .* by a rate"):
        rates_off(load("transformer"))
    with pytest.raises(SpecError, match="NG955 `m3` is an optimizer"):
        rates_off(load("m3"))


@settings(max_examples=15)
@given(strategies.specs())
def test_no_memory_of_any_spec_moves_with_rates_off(drawn: dict[str, object]):
    spec = building.spec_of(strategies.as_yaml(drawn))
    if not rated(spec) or unsupported(spec.system):
        return
    module = ng.compile(rates_off(spec)).double()

    held = states(module, torch.randint(spec.system.model.vocab, (2, 9)))

    assert all(torch.equal(*pair) for pair in held.values())


@settings(max_examples=25)
@given(field_draws.models())
def test_rates_off_checks_for_any_spec_that_checks(drawn: dict[str, object]):
    try:
        spec = building.spec_of(strategies.as_yaml(drawn))
    except SpecError:
        return
    if rated(spec):
        rates_off(spec)
