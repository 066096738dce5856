"""Optimizers compared on text: what is trained, with which rates, and what is printed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from benchmarks import cells, optimizers_on_text, training
from benchmarks.failure import BenchmarkError, Diverged
from benchmarks.optimizer_plan import CELLS, Plan, Training, best_rate, current
from benchmarks.optimizer_plot import draw
from benchmarks.optimizer_table import tables
from benchmarks.optimizers_on_text import compare
from benchmarks.training import Result, Task, train

GOOD = {"muon": 0.01, "adamw": 0.1}  # the rates at which the stand-ins do best


def plan(out: Path, **wishes: object) -> Plan:
    settings = {
        "only": ("transformer-tiny", "muon", "adamw"),
        "rates": (0.001, 0.01, 0.1),
        "steps": 20,
        "data": None,
        "jobs": 1,
        "threads": 1,
        "out": out,
        "plot": None,
        "table_only": False,
    }
    return Plan(**{**settings, **wishes})  # type: ignore[arg-type]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Return trainings that were begun, each a stand-in; AdamW diverges at a rate of 0.001."""
    begun: list[Task] = []

    def stand_in(task: Task, out: Path, *, tell: bool) -> Result:
        begun.append(task)
        optimizer, rate = task.settings["training.optimizer"], float(task.settings["training.lr"])
        if (optimizer, rate) == ("adamw", 0.001):
            raise Diverged("the gradient was no number for 10 steps in a row")
        return Result(
            spec=task.spec,
            seed=task.seed,
            steps=20,
            nats=1.5 + abs(rate - GOOD[optimizer]) + random.uniform(0, 1e-3),
            best=1.0,
            parameters=5,
            seconds=60.0,
            resumed=False,
            load=0.1,
            run="",
        )

    monkeypatch.setattr(optimizers_on_text, "train", stand_in)
    monkeypatch.setattr(optimizers_on_text, "_seconds_a_step", lambda run: 0.25)
    return begun


def seen(trained: list[Task]) -> list[tuple[str, float, int]]:
    return [
        (task.settings["training.optimizer"], float(task.settings["training.lr"]), task.seed)
        for task in trained
    ]


def test_each_optimizer_tries_the_grid_and_repeats_its_best_rate(
    trained: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(plan(tmp_path)) == 0
    grid = [(name, rate, 0) for name in ("adamw", "muon") for rate in (0.001, 0.01, 0.1)]
    again = [(name, GOOD[name], seed) for seed in (1, 2) for name in ("adamw", "muon")]
    assert seen(trained) == [*grid, *again]
    first = capsys.readouterr().out.partition("|")[2]
    assert compare(plan(tmp_path)) == 0
    assert len(trained) == 10
    assert capsys.readouterr().out.partition("|")[2] == first


def test_the_schedule_keeps_its_proportions(tmp_path: Path) -> None:
    spec = plan(tmp_path).task("hope-tiny", "muon", 0.02, 1).load()
    settings = spec.system.training
    assert (settings.lr, settings.min_lr, settings.warmup, settings.steps) == (0.02, 0.002, 2, 20)
    assert settings.system is not None
    assert settings.system.name == "muon"


def test_the_table_tells_edges_and_what_diverged(
    trained: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(plan(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    (adamw,) = (line for line in lines if line.startswith("| `adamw`"))
    (muon,) = (line for line in lines if line.startswith("| `muon`"))
    assert adamw.split(" | ")[1] == "0.1\\*"
    assert muon.split(" | ")[1] == "0.01"
    assert adamw.split(" | ")[6] == "diverged"
    assert muon.endswith("| 250 |")
    assert "\\* at the edge of the grid" in "\n".join(lines)
    assert "`adamw`, rate 0.001, seed 0: the gradient was no number for 10 steps in a row" in lines


def test_cells_of_other_steps_or_rates_are_not_in_the_table(
    trained: list[Task], tmp_path: Path
) -> None:
    compare(plan(tmp_path))
    assert len(current(plan(tmp_path))) == 10
    assert current(plan(tmp_path, steps=21)) == []
    assert {cell.rate for cell in current(plan(tmp_path, rates=(0.01,)))} == {0.01}
    assert {cell.optimizer for cell in current(plan(tmp_path, only=("muon",)))} == {"muon"}


def test_an_optimizer_that_always_diverges_has_no_best_rate(tmp_path: Path) -> None:
    wishes = plan(tmp_path, rates=(0.01,))
    key = wishes.task("transformer-tiny", "muon", 0.01, 0).folder()
    lost = Training(
        key=key,
        spec="transformer-tiny",
        optimizer="muon",
        rate=0.01,
        seed=0,
        steps=20,
        nats=None,
        seconds=None,
        threads=1,
        reason="it became nan",
    )
    cells.add(tmp_path / CELLS, lost)
    assert current(wishes) == [lost]
    assert best_rate([lost], "transformer-tiny", "muon") is None
    assert "| diverged |" in tables(wishes, [lost])


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="`moun`: not compared; choose from transformer-tiny"):
        compare(plan(tmp_path, only=("moun", "muon")))


@pytest.mark.parametrize("code", ["NG731", "NG732", "NG742"])
def test_a_training_whose_numbers_are_none_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    code = f"print('{code} the gradient was no number, up to step 14; a.ckpt; lower it'); exit(2)"
    monkeypatch.setattr(training, "_command", lambda *_, **__: [sys.executable, "-c", code])
    with pytest.raises(Diverged, match=r"^the gradient was no number, up to step 14$"):
        train(Task(spec="transformer-tiny", seed=0, threads=1, steps=3), tmp_path)


def test_the_plot_shows_what_is_finished(trained: list[Task], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="`nestgraph[report]` is not installed")
    compare(plan(tmp_path, plot=tmp_path / "plot.svg"))
    drawn = (tmp_path / "plot.svg").read_text()
    assert "muon" in drawn
    assert "hope-tiny" not in drawn
    draw(plan(tmp_path), [], tmp_path / "empty.svg")
