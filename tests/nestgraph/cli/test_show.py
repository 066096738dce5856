"""`nestgraph show`: levels, parameters and values of a spec, or of one node."""

from __future__ import annotations

import pytest

from nestgraph.parameters import parameter_table
from nestgraph.spec import load


def test_a_spec_shows_its_levels_outermost_first(run, write) -> None:
    lines = run("show", write("net: linear,", "net: linear, level: chunk,")).stdout.splitlines()
    step = next(i for i, line in enumerate(lines) if "every step" in line and "parameters" in line)
    chunk = next(i for i, line in enumerate(lines) if "every 4 tokens" in line)
    assert step < chunk
    assert "2 memories" in lines[chunk]


def test_the_number_of_parameters_is_that_of_the_table(run, write) -> None:
    path = write()
    total = sum(spec.size for spec in parameter_table(load(str(path)).system))
    assert f"Parameters: {total:,}" in run("show", path).stdout


def test_layers_that_are_alike_share_their_rows(run, write) -> None:
    shown = run("show", write()).stdout
    assert "0.layer.k.weight" in shown
    assert "1.layer.k.weight" not in shown
    assert "2 x" in shown


def test_resolved_values_have_no_variables_left(run, write) -> None:
    shown = run("show", write(), "--set", "vars.width=32").stdout
    assert "width: 32" in shown
    assert "$" not in shown.partition("Resolved")[2]


@pytest.mark.parametrize("address", ["M", "layer.M", "0.layer.M"])
def test_a_memory_shows_each_value_and_the_line_that_it_came_from(run, write, address) -> None:
    shown = run("show", write(), address).stdout
    assert "0.layer.M  memory" in shown
    assert "small.yaml:9:" in shown
    (rate,) = (line for line in shown.splitlines() if line.strip().startswith("rule.rate"))
    assert "0.5" in rate
    assert "small.yaml:9:" in rate
    (gradient,) = (line for line in shown.splitlines() if line.strip().startswith("gradient"))
    assert "by default" in gradient
    assert "0.layer.M.W0" in shown


def test_an_op_shows_its_fields_and_parameters(run, write) -> None:
    shown = run("show", write(), "1.layer.k.base").stdout
    assert "op" in shown
    assert "linear" in shown
    assert "1.layer.k.weight" in shown


def test_an_unknown_node_is_named_with_a_suggestion(run, write) -> None:
    result = run("show", write(), "layer.N")
    assert result.exit_code == 2
    assert "`layer.N` names no memory, read or op" in result.stderr
    assert "did you mean" in result.stderr


def test_an_inner_block_lists_what_is_in_it(run) -> None:
    shown = run("show", "hope-tiny", "0.hope").stdout
    assert "memory" in shown
    assert "read" in shown
