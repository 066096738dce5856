"""Smoke tests of tables: everything is done, on less of everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestgraph.cli.commands import app
from nestgraph.errors import InputError
from nestgraph.evaluation.cells import read_cells
from nestgraph.evaluation.choosing import find_task, names
from nestgraph.evaluation.results import evaluate
from nestgraph.evaluation.smoke import ROWS, smoked

TASK = "mqar:T=8,K=2,V=8"


@pytest.mark.parametrize("name", names())
def test_every_task_has_a_smoke_test_of_less_of_everything(name: str) -> None:
    whole = find_task(name)
    small = smoked(whole)
    assert small.steps == max(whole.steps // 20, len(whole.parts))
    assert set(small.rates) < set(whole.rates)
    assert len(small.rates) == 1
    assert small.rows <= ROWS
    assert set(small.parts) == set(whole.parts)
    changed = {key for key, value in whole.settings.items() if small.settings[key] != value}
    assert changed == ({"base"} if whole.settings.get("base") else set())


def test_a_smoke_test_has_every_side_and_says_that_it_is_no_result(small, tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    found = evaluate(TASK, [small()], controls="static", smoke=True, file=file)
    sides = {row.side for row in found.summaries[0].rows}
    assert len(sides) > 1
    assert [cell.seed for cell in found.cells] == [0] * len(sides)
    assert {cell.taken for cell in found.cells} <= set(range(1, 101))
    assert "**A smoke test**" in str(found)
    assert all(cell.setting.smoke for cell in read_cells(file))


def test_a_file_of_a_smoke_test_is_not_gone_on_with_as_a_table(small, tmp_path: Path) -> None:
    file, spec = tmp_path / "cells.jsonl", small()
    evaluate(TASK, [spec], smoke=True, file=file)
    with pytest.raises(
        InputError, match=r"NG935 .* with --smoke given, and left away is asked for"
    ):
        evaluate(TASK, [spec], seeds=(0,), steps=100, rates=(3e-3,), file=file)


@pytest.mark.parametrize(
    "asked", [{"seeds": (0, 1)}, {"steps": 5}, {"budget": 1.0}, {"rates": (1e-3,)}]
)
def test_a_smoke_test_chooses_seeds_steps_and_rates_itself(small, asked) -> None:
    with pytest.raises(InputError, match="NG932 `--smoke` stands beside `--"):
        evaluate(TASK, [small()], smoke=True, **asked)


def test_the_command_tries_a_table(small) -> None:
    found = CliRunner().invoke(app, ["eval", TASK, small().path, "--smoke"])
    assert found.exit_code == 0, found.output
    assert "A smoke test" in found.output
