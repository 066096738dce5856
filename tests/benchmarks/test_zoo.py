"""The table of all systems: what is trained, what is kept, what is printed."""

from __future__ import annotations

import dataclasses
import random
import threading
from pathlib import Path

import pytest

from benchmarks import cells, zoo
from benchmarks.cells import Cell
from benchmarks.failure import BenchmarkError
from benchmarks.training import Result, Task
from benchmarks.zoo import FIRST, THREE_SEEDS, Plan, fill_zoo
from nestgraph.language.spec import load


def plan(out: Path, **wishes: object) -> Plan:
    settings = {
        "only": ("deltanet", "transformer-tiny"),
        "steps": 2,
        "data": None,
        "jobs": 1,
        "threads": 1,
        "out": out,
        "table_only": False,
        "speeds_only": False,
    }
    return Plan(**{**settings, **wishes})  # type: ignore[arg-type]


def cell(spec: str, seed: int = 0, **more: object) -> Cell:
    settings = {
        "key": f"{spec}/{seed}",
        "spec": spec,
        "seed": seed,
        "steps": 2000,
        "whole": 2000,
        "parameters": 800_000,
        "nats": random.uniform(1, 2),
        "tokens_per_second": 1234.5,
        "state_bytes": 65_536,
        "minutes": 7.5,
        "threads": 1,
    }
    return Cell(**{**settings, **more})  # type: ignore[arg-type]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Return trainings that were begun, each a stand-in that takes no time; atlas fails."""
    begun: list[Task] = []
    lock = threading.Lock()

    def train(task: Task, out: Path, *, tell: bool) -> Result:
        with lock:
            begun.append(task)
        if task.spec == "atlas-tiny":
            raise BenchmarkError("it became nan")
        return Result(
            spec=task.spec,
            seed=task.seed,
            steps=task.load().system.training.steps,
            nats=random.uniform(1, 2),
            best=1.0,
            parameters=5,
            seconds=60.0,
            resumed=False,
            load=0.1,
            run="",
        )

    monkeypatch.setattr(zoo, "train", train)
    monkeypatch.setattr(cells, "tokens_per_second", lambda spec, threads: 1000.0)
    monkeypatch.setattr(cells, "state_bytes", lambda spec: 10)
    return begun


def test_every_system_is_trained_and_some_with_three_seeds(tmp_path: Path) -> None:
    tasks = plan(tmp_path, only=()).tasks()

    assert len({task.spec for task in tasks}) >= 29
    for task in tasks:
        seeds = {other.seed for other in tasks if other.spec == task.spec}
        assert seeds == ({0, 1, 2} if task.spec.removesuffix("-tiny") in THREE_SEEDS else {0})
    assert [task.seed for task in tasks] == sorted(task.seed for task in tasks)


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_is_finished_is_not_trained_again(
    trained: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: int
) -> None:
    assert fill_zoo(plan(tmp_path, jobs=jobs)) == 0
    assert sorted((task.spec, task.seed) for task in trained) == [
        ("deltanet-tiny", 0),
        *(("transformer-tiny", seed) for seed in range(3)),
    ]
    first = capsys.readouterr().out.partition("|")[2]
    assert fill_zoo(plan(tmp_path, jobs=jobs)) == 0
    assert len(trained) == 4
    assert capsys.readouterr().out.partition("|")[2] == first
    assert "`deltanet-tiny` | 5 |" in first


def test_a_training_that_fails_is_named_and_the_others_go_on(
    trained: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fill_zoo(plan(tmp_path, only=("atlas", "deltanet"))) == 1
    printed = capsys.readouterr().out
    assert "atlas-tiny, seed 0 failed: it became nan" in printed
    assert "`deltanet-tiny`" in printed


def test_the_first_ten_are_trained_with_three_seeds(trained: list[Task], tmp_path: Path) -> None:
    assert fill_zoo(plan(tmp_path, only=())) == 1  # atlas fails
    found = list(cells.kept(tmp_path / zoo.CELLS))
    firsts = sorted((cell for cell in found if cell.seed == 0), key=lambda cell: cell.nats)
    several = {cell.spec for cell in found if cell.seed == 2}
    named = {f"{name}-tiny" for name in THREE_SEEDS}
    assert several == named | {cell.spec for cell in firsts[:FIRST]}


def test_an_unknown_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no system of the zoo is called `hoe`"):
        plan(tmp_path, only=("hoe",)).tasks()


def test_the_table_takes_the_longest_training_of_the_spec_as_it_is_now(
    trained: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for steps in (4, 2, 3):
        fill_zoo(plan(tmp_path, only=("deltanet",), steps=steps))
    kept = list(cells.kept(tmp_path / zoo.CELLS))
    cells.add(tmp_path / zoo.CELLS, dataclasses.replace(kept[0], key="of an older file", steps=9))

    (found,) = zoo.current(plan(tmp_path), cells.kept(tmp_path / zoo.CELLS))
    assert found.steps == 4
    capsys.readouterr()
    assert fill_zoo(plan(tmp_path, only=("deltanet",), steps=None, table_only=True)) == 0
    assert "| 4\\* |" in capsys.readouterr().out
    assert len(trained) == 3


def test_speeds_are_measured_again_and_nothing_is_trained(
    trained: list[Task],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_zoo(plan(tmp_path, only=("transformer",)))
    monkeypatch.setattr(cells, "tokens_per_second", lambda spec, threads: 7654.0)
    capsys.readouterr()

    assert fill_zoo(plan(tmp_path, speeds_only=True)) == 0

    assert len(trained) == 3
    printed = capsys.readouterr().out
    assert printed.count("transformer-tiny: 7,654 tokens/s") == 1
    assert "| 7,654 |" in printed
    before, after = (
        list(cells.kept(tmp_path / zoo.CELLS))[part] for part in (slice(3), slice(3, 6))
    )
    assert after == [dataclasses.replace(cell, tokens_per_second=7654.0) for cell in before]


def test_a_torn_line_loses_one_cell_only(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    one, two = cell("a-tiny"), cell("b-tiny")
    cells.add(file, one)
    cells.add(file, two)
    with file.open("a") as stream:
        stream.write('{"key": "c", "spec"')

    assert list(cells.kept(file)) == [one, two]


def test_speed_and_state_are_measured_on_the_specs_own_batches() -> None:
    changes = {"vars.depth": 1, "training.batch": 2, "training.context": 9}
    spec = load("deltanet-tiny", changes)

    assert cells.tokens_per_second(spec, 1) > 0
    position, conv, state = 8, 3 * 3 * 128 * 4, 4 * 32 * 32 * 4
    assert cells.state_bytes(spec) == position + conv + state
