"""A model's optimizer against the model's own parameters, wherever the optimizer is written."""

from __future__ import annotations

from pathlib import Path

import optimizer_strategies
import pytest
import strategies
from hypothesis import given, settings
from mistakes import GOOD, errors

from nestgraph.checks.fitting import _met
from nestgraph.language import zoo
from nestgraph.language.groups import choose, rules
from nestgraph.language.spec import check, load

MODEL = """\
nestgraph: 1
name: m
blocks:
  b:
    nodes:
      k: {op: linear, in: x, then: [{op: conv, width: 3}]}
      out: {op: sum, in: [x, k]}
model:
  embed: {vocab: 16, width: 8}
  stack: [{block: b}]
training:
  optimizer: OPTIMIZER
"""
DGD = """\
blocks:
  dgd:
    inputs: [input, lr]
    memories:
      p:
        net: linear
        level: step
        keys: input
        objective: task
        rule: {rate: lr, erase: key, implicit: true}
        init: given
optimizer:
  - {for: hidden_matrices, block: dgd}
  - {for: rest, spec: adamw}
"""
HEAD = "nestgraph: 1\nname: dgd\n"
SAID = (
    "NG344 `for: hidden_matrices` takes parameters that are no linear maps (`0.b.k.then0.weight`),"
    " but `dgd` asks for their `input`"
)


def said(folder: Path, **files: str) -> list[str]:
    """Return the errors of the model `m` among some files."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    found, _ = check(folder / "m.yaml")
    lines = (str(one) for one in found if one.severity == "error")
    return [line.replace(f"{folder}/", "") for line in lines]


def test_an_inline_optimizer_is_told_where_it_is_written(tmp_path: Path):
    inline = "\n" + "".join(f"    {line}\n" for line in DGD.splitlines())

    (line,) = said(tmp_path, m=MODEL.replace(" OPTIMIZER\n", inline))

    assert line.startswith(f"m.yaml:25:9: {SAID}; let it take `linear_maps`")


def test_an_optimizer_by_path_is_told_in_its_own_file(tmp_path: Path):
    (line,) = said(tmp_path, m=MODEL.replace("OPTIMIZER", "own.yaml"), own=HEAD + DGD)

    assert line.startswith(f"own.yaml:15:5: {SAID}")


def test_an_optimizer_that_a_group_names_is_told_in_its_own_file(tmp_path: Path):
    block = (
        "{inputs: [grad], memories: {p: {net: vector, level: step, objective: task, init: given}}}"
    )
    groups = "[{for: matrices, spec: own.yaml}, {for: rest, block: plain}]"
    outer = f"{HEAD}blocks: {{plain: {block}}}\noptimizer: {groups}\n"

    (line,) = said(
        tmp_path, m=MODEL.replace("OPTIMIZER", "outer.yaml"), outer=outer, own=HEAD + DGD
    )

    assert line.startswith(f"own.yaml:15:5: {SAID}")


def test_what_is_wrong_with_an_optimizer_itself_is_found_with_its_model(tmp_path: Path):
    wrong = HEAD + DGD.replace("init: given", "init: zero")

    lines = said(tmp_path, m=MODEL.replace("OPTIMIZER", "own.yaml"), own=wrong)

    assert any(line.startswith("own.yaml:4:3: NG340 `dgd` has no memory") for line in lines)


@pytest.mark.parametrize("optimizer", zoo.optimizers())
def test_optimizers_that_ship_can_move_every_part_of_a_model(optimizer: str):
    assert load("hope-tiny", {"training.optimizer": optimizer}).warnings == ()


def test_the_parameters_of_every_model_that_ships_are_known():
    for name in zoo.names():
        system = load(name).system
        optimizer, parameters = _met(system)
        assert optimizer is not None
        assert parameters
        assert system.model is None or all(
            choose(rules(optimizer), one) is not None for one in parameters
        )


@settings(max_examples=20)
@given(optimizer_strategies.optimizers())
def test_a_random_optimizer_can_be_written_into_a_model(spec: dict[str, object]):
    inner = {key: value for key, value in spec.items() if key not in ("nestgraph", "name")}
    inline = strategies.as_yaml({"training": {"optimizer": inner}})

    assert errors(GOOD.replace("training: {optimizer: adamw}\n", inline)) == []
