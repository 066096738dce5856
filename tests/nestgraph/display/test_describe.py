"""Memories in a few words."""

from __future__ import annotations

import pytest
from building import block_of

from nestgraph.display import describe
from nestgraph.language.system import Coefficient, Memory


def memory(fields: str) -> Memory:
    block = block_of(
        f"""
        memories:
          M: {{{fields}}}
        nodes:
          k: {{op: linear, in: x}}
          v: {{op: linear, in: x}}
          r: {{op: linear, in: x, out: 1}}
          y: {{read: M, query: k}}
          out: {{op: sum, in: [x, y]}}
        """
    )
    return block.memories["M"]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("{}", "rate 1"),
        ("{rate: r, momentum: 0.5, retain: 0.25}", "rate r, momentum 0.5, retain 0.25"),
        ("{rate: 0.125, retain: r, retain_first: true}", "rate 0.125, retain r first"),
        ("{erase: key, implicit: true}", "rate 1, erase key, implicit"),
        ("{erase: {key: k, rate: r}}", "rate 1, erase key k rate r"),
        ("{mirror: {kind: lq, q: 4}, reduce: mean}", "rate 1, mirror lq 4, reduce mean"),
        ("{direction: {kind: newton_schulz, steps: 3}}", "rate 1, newton_schulz 3"),
    ],
)
def test_a_rule_names_what_differs_from_the_defaults(rule: str, text: str) -> None:
    assert describe.rule_text(memory(f"keys: k, values: v, rule: {rule}")) == text


def test_an_mlp_is_told_with_its_shape() -> None:
    net = "{kind: mlp, layers: 3, expansion: 2, activation: relu, bias: true, residual: true}"
    described = memory(f"net: {net}, heads: 2, keys: k, values: v, level: chunk")
    text = describe.net_text(described.net, described.heads)
    assert text == "mlp, 3 layers x2, relu, bias, residual, 2 heads"


def test_an_objective_is_told_with_its_fields() -> None:
    described = memory("keys: k, values: v, objective: {kind: lp, p: 3, scale: 2, window: 4}")
    assert describe.objective_text(described) == "lp, p 3, scale 2, window 4"


def test_attention_keeps_events_and_starts_empty() -> None:
    described = memory("net: attention, keys: k, values: v")
    assert describe.rule_text(described) == "keep every event"
    assert describe.init_text(described) == "empty"


def test_a_group_of_the_optimizer_has_its_rule() -> None:
    described = memory("net: mlp, level: slow, objective: task")
    assert describe.rule_text(described) == "the outer optimizer's"


def test_own_answers_as_targets_are_told() -> None:
    assert describe.values_text(memory("keys: k, values: {self: v}")) == "self(v)"


def test_long_lists_of_numbers_are_cut() -> None:
    numbers = Coefficient(numbers=(0.5, 0.25, 0.125, 1.0, 2.0))
    assert describe.coefficient_text(numbers) == "[0.5, 0.25, 0.125, 1, ...]"


def test_a_coefficient_says_per_what_it_is() -> None:
    assert describe.coefficient_text(Coefficient(flow="a.w", per="key")) == "w per key"


def test_a_retention_says_where_it_pulls() -> None:
    told = memory("keys: k, values: v, rule: {retain: {number: 0.5, towards: init}}")
    assert describe.rule_text(told) == "rate 1, retain 0.5 towards init"
    plain = memory("keys: k, values: v, rule: {retain: {number: 0.5, towards: zero}}")
    assert describe.rule_text(plain) == "rate 1, retain 0.5"
