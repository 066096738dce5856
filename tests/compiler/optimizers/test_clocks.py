"""Memories, flows and parameters on clocks of their own: what ticks when, and what is kept."""

from __future__ import annotations

import pytest
import torch
from problems import Problem

from nestgraph.compiler.optimizers.ticks import NONE, STEPS, Ticks, ends_of
from nestgraph.language.spec import Spec

FILE = "clocks.yaml"
TEXT = """
nestgraph: 1
name: clocks
levels: {{two: 2 steps, three: 3 steps, four: 4 steps}}
blocks:
  b:
    inputs: [grad, lr{inputs}]
    memories:
      {memory}
      param: {{{param}, objective: {{kind: task, through: u}}, rule: {{rate: lr}}, init: given}}
    nodes:
      {nodes}
optimizer:
  - {{for: {takes}, block: b}}
  - {{for: rest, spec: sgd}}
"""
VECTOR = "m: {net: vector, level: LEVEL, values: v, objective: l2, rule: {rate: 0.3}, init: INIT}"


def problem_of(
    *nodes: str,
    level: str = "step",
    memory: str = "step",
    init: str = "zero",
    takes: str = "all",
    inputs: str = "",
) -> Problem:
    """Return random parameters under one block with a memory `m` of the flow `v`."""
    param = f"net: linear, keys: {inputs}" if inputs else "net: vector"
    text = TEXT.format(
        inputs=f", {inputs}" if inputs else "",
        memory=VECTOR.replace("LEVEL", memory).replace("INIT", init),
        param=f"{param}, level: {level}",
        nodes="\n      ".join(nodes),
        takes=takes,
    )
    text = text.replace("rate: lr}", "rate: lr, erase: key}") if inputs else text
    text = text.replace("  - {for: rest, spec: sgd}\n", "") if takes == "all" else text
    return Problem(Spec.from_sources({FILE: text}, FILE, {}))


def check(problem: Problem) -> None:
    for _ in range(13):
        problem.step(problem.gradients(), problem.fed())
    assert all(error < 1e-12 for _, error in problem.errors()), dict(problem.errors())


@pytest.mark.parametrize("level", ["two", "four"])
def test_what_hears_of_a_slow_parameter_ticks_behind_its_moves_alone(level: str):
    check(
        problem_of(
            "v: {read: param, at: before}",
            "own: {read: m, at: before}",
            "w: {op: sum, in: [grad, own]}",
            "u: {op: tanh, in: w}",
            level=level,
            memory="four",
        )
    )


def test_a_memory_that_hears_of_itself_rests_until_its_first_event_and_never_again():
    check(
        problem_of(
            "late: {op: pool, in: grad, level: three, how: sum}",
            "own: {read: m, at: before}",
            "v: {op: sum, in: [late, own], weights: [1, 0.5]}",
            "u: {read: m}",
            init="{kind: fixed, std: 0.3}",  # so that a write of nothing would show
        )
    )


def test_a_slow_parameter_moves_when_its_level_and_its_step_tick_together():
    problem = problem_of(
        "late: {op: pool, in: grad, level: three, how: sum}",
        "v: {op: affine, in: late}",
        "held: {read: m}",
        "u: {op: sum, in: [late, held]}",
        level="two",
    )
    moved = []
    for step in range(1, 13):
        before = problem.parameters["a"].detach().clone()
        problem.step(problem.gradients(), {})
        if not torch.equal(before, problem.parameters["a"]):
            moved.append(step)

    assert moved == [6, 12]
    assert all(error < 1e-12 for _, error in problem.errors())


def test_a_kept_flow_is_renewed_though_nobody_asked_at_its_tick():
    check(
        problem_of(
            "late: {op: pool, in: grad, level: three, how: sum}",
            "v: {op: tanh, in: late}",
            "m_now: {read: m, then: [tanh]}",
            "w: {op: product, in: [m_now, lr]}",
            "u: {op: sum, in: [w, grad]}",
            level="two",
        )
    )


@pytest.mark.parametrize("init", ["identity", "{kind: fixed, std: 0.3}"])
def test_a_memory_of_cells_starts_like_the_matrix_that_its_parameter_is(init: str):
    check(problem_of("v: {op: affine, in: grad}", "u: {read: m}", init=init))


def test_a_number_never_ticks_so_that_debias_leaves_it_alone():
    check(
        problem_of(
            "v: {op: affine, in: grad}",
            "now: {read: m}",
            "x: {op: debias, in: lr, decay: 0.5}",
            "u: {op: product, in: [now, x]}",
        )
    )


def test_a_parameter_that_is_keyed_by_inputs_has_its_own_shape():
    check(
        problem_of(
            "v: {read: param, at: before}",
            "now: {read: m}",
            "u: {op: sum, in: [grad, now]}",
            takes="linear_maps",
            inputs="input",
        )
    )


@pytest.mark.parametrize("delay", [0, 1, 2, 5])
@pytest.mark.parametrize("own", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("period", [1, 2, 3, 4])
def test_common_ticks_are_those_of_both(own: int, delay: int, period: int):
    ticks = Ticks(frozenset({(own, delay)}))
    common, steps = ticks.at_ends_of(period), range(1, 60)

    wanted = [t for t in steps if ticks.fresh(t) and ends_of(period).fresh(t)]

    assert [t for t in steps if common.fresh(t)] == wanted
    assert [common.count(t) for t in steps] == [sum(w <= t for w in wanted) for t in steps]
    assert common.within(period)


def test_onwards_is_each_step_from_the_first_tick():
    assert NONE.onwards() == NONE
    assert STEPS.onwards() == STEPS
    assert [t for t in range(1, 9) if (ends_of(4) | ends_of(6)).onwards().fresh(t)] == [
        4,
        5,
        6,
        7,
        8,
    ]
