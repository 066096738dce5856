"""What few layers and segments foretell is what all of them cost."""

from __future__ import annotations

import random
import time
from importlib import import_module

import pytest
import torch
from building import model_of, system_of

from nestgraph.compiler import cost, work
from nestgraph.compiler.cost import measure, measure_whole
from nestgraph.errors import InputError
from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import System

LEVELS = "{two: 2 tokens, four: 4 tokens, slow: 5 steps}"
LOOP = """
memories:
  M: {net: {kind: mlp, expansion: 1}, level: two, keys: x, values: x,
      rule: {rate: 0.1, erase: key}RESET}
nodes:
  c: {op: conv, in: x, width: 3}
  y: {read: M, query: c, at: boundary}
  out: {op: sum, in: [x, y]}
"""
TWO_NETS = """
memories:
  M: {net: {kind: mlp, expansion: 1}, level: two, keys: x, values: x,
      rule: {rate: 0.1, erase: key}}
  A: {net: attention, keys: x, values: x}
nodes:
  y: {read: M, query: x, at: boundary}
  z: {read: A, query: y}
  out: {op: sum, in: [x, z]}
"""


DIFFERING = """
nestgraph: 1
name: differing
blocks:
  a:
    vars: {r: 0.1, s: 0.5, wide: 1}
    memories:
      m: {keys: k, values: k, rule: {rate: $r, erase: {where: key, rate: $s}, retain: $s}}
      n: {net: {kind: mlp, expansion: $wide}, level: step, objective: task}
    nodes:
      k: {op: linear, in: x, out: 4}
      y: {read: m, query: k}
      z: {read: n, query: y}
      scaled: {op: affine, in: z, scale: $s, shift: $r}
      out: {op: sum, in: [x, scaled]}
model:
  embed: {vocab: 8, width: 4}
  stack: [STACK]
  head: {tie: true}
"""


def differing(*layers: str) -> System:
    stack = ", ".join(f"{{block: a, with: {{{values}}}}}" for values in layers)
    return system_of(DIFFERING.replace("STACK", stack))


def counted_models(system: System, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the layers of each model that a measurement counts."""
    seen: list[int] = []

    def noted(model: System, **given: object) -> cost.MeasuredCost:
        assert model.model is not None
        seen.append(len(model.model.layers))
        return measure_whole(model, **given)

    monkeypatch.setattr(cost, "measure_whole", noted)
    measure(system, tokens=8)
    return seen


def slow(*case: object) -> object:
    return pytest.param(*case, marks=pytest.mark.slow)


def same(system: System, tokens: int) -> None:
    assert measure(system, tokens=tokens) == measure_whole(system, tokens=tokens)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        slow(LOOP.replace("RESET", ""), 2 * 18),  # segments that are all kept
        slow(LOOP.replace("RESET", ""), 2 * 30),  # that run again in groups
        (LOOP.replace("RESET", ""), 2 * 31),  # the last group smaller
        slow(LOOP.replace("RESET", ""), 2 * 31 + 1),  # a part of one more
        slow(LOOP.replace("RESET", ", reset: four"), 2 * 18),  # unequal ones
        (TWO_NETS, 2 * 18),  # a layer whose cost grows with the square of time
    ],
)
def test_a_loop_of_equal_segments_costs_what_all_of_it_is_counted_to_cost(
    body: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("nestgraph.ops.scan.checkpointed_loop"), "MOST_KEPT", 20)
    same(model_of(body, levels=LEVELS), tokens)


def test_few_of_many_segments_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    system, seen = model_of(LOOP.replace("RESET", ""), levels=LEVELS), []

    def noted(model: System, *, tokens: int, **given: object) -> cost.MeasuredCost:
        seen.append(tokens)
        return measure_whole(model, tokens=tokens, **given)

    monkeypatch.setattr(cost, "measure_whole", noted)
    assert measure(system, tokens=2_000).tokens == 2_000
    assert [tokens for tokens in seen if tokens < 2_000] == [8, 12, 12, 18]


def test_layers_that_differ_in_numbers_alone_are_counted_once(monkeypatch) -> None:
    rng = random.Random(5)
    layers = [f"r: {rng.uniform(0.01, 0.49)}, s: {rng.uniform(0.5, 0.99)}" for _ in range(6)]
    assert counted_models(differing(*layers), monkeypatch) == [0, 1]


def test_layers_of_other_widths_are_counted_together(monkeypatch) -> None:
    layers = ("wide: 1", "wide: 2", "wide: 3", "wide: 4, r: 0.2", "wide: 4")
    assert counted_models(differing(*layers), monkeypatch) == [0, 3, 1]


def test_layers_that_differ_cost_what_each_of_them_is_counted_to_cost() -> None:
    rng = random.Random()
    numbers = (0.0, 1.0, 0.5, rng.random(), -rng.random())  # some choose other kernels
    layers = [
        f"r: {abs(rng.choice(numbers))}, s: {rng.choice(numbers[1:4])}, wide: {rng.randint(1, 2)}"
        for _ in range(5)
    ]
    layers += ["r: 0.3, s: 0.3", "r: 0.3, s: 0.4", "r: 0, s: 1", "r: 1, s: 1"]
    same(differing(*layers), 9)


@pytest.mark.parametrize("name", ["deltanet-tiny", "transformer-tiny"])  # adds up; does not
def test_a_model_that_takes_too_many_operations_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = load(name).system
    monkeypatch.setattr(work, "MOST_STEPS", 40)
    with pytest.raises(InputError, match="more than 40 operations on tensors") as refused:
        measure(system, tokens=8)
    (finding,) = refused.value.diagnostics
    assert finding.code == "NG912"


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [300, 301])
def test_a_long_loop_costs_what_all_of_it_is_counted_to_cost(tokens: int) -> None:
    same(model_of(LOOP.replace("RESET", ""), levels=LEVELS), tokens)


def test_equal_layers_between_others_cost_what_each_of_them_is_counted_to_cost() -> None:
    same(load("deltanet-tiny").system, 24)


@pytest.mark.slow
@pytest.mark.parametrize("name", [family.name for family in zoo.families()])
def test_every_shipped_model_costs_what_all_of_it_is_counted_to_cost(name: str) -> None:
    same(load(f"{name}-tiny" if f"{name}-tiny" in zoo.names() else name).system, 40)


@pytest.mark.slow
def test_a_model_of_the_size_of_a_paper_is_measured_in_seconds() -> None:
    torch.zeros(1)
    begin = time.process_time()
    found = measure(load("hope-340m").system)
    assert time.process_time() - begin < 5
    assert found.tokens == 4096
    first, last = (
        [name for name in found.state_bytes if name.startswith(path)] for path in ("0.", "23.")
    )
    assert len(first) == len(last) > 0
