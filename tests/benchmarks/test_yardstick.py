"""Trainings of the yardstick: what is trained, what is skipped, what is written down."""

from __future__ import annotations

import csv
import json
import math
import random
import statistics
import sys
from pathlib import Path

import pytest

from benchmarks import training
from benchmarks.failure import BenchmarkError
from benchmarks.training import Result, Task, train
from benchmarks.yardstick import Plan, grouped, hold_yardstick, table

FAKE = """
import pathlib, random, sys
run = pathlib.Path(sys.argv[1])
run.mkdir(parents=True, exist_ok=True)
rows = ["step,train_loss,val_loss,val_bits_per_byte", f"1,3.0,{2 + random.random()},", "2,2.5,,"]
(run / "metrics.csv").write_text("\\n".join([*rows, f"3,2.0,{1 + random.random()},"]) + "\\n")
print("step 3/3", "", "it writes", "nonsense", sep="\\n")
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Task, bool]]:
    """Return trainings that were begun, each a stand-in that takes no time; and whether they
    resumed.
    """
    begun: list[tuple[Task, bool]] = []

    def command(task: Task, run: Path, *, resumes: bool) -> list[str]:
        begun.append((task, resumes))
        return [sys.executable, "-c", FAKE, str(run)]

    monkeypatch.setattr(training, "_command", command)
    return begun


def plan(out: Path, **wishes: object) -> Plan:
    settings = {
        "specs": ("transformer-tiny", "deltanet-tiny"),
        "seeds": (0, 1, 2),
        "steps": 3,
        "out": out,
        "threads": 1,
    }
    return Plan(**{**settings, **wishes})  # type: ignore[arg-type]


def result(spec: str, seed: int, **more: object) -> Result:
    settings = {
        "spec": spec,
        "seed": seed,
        "steps": 2000,
        "nats": random.uniform(1, 5),
        "best": 1.0,
        "parameters": 800_000,
        "seconds": 90.0,
        "resumed": False,
        "load": 0.5,
        "run": f"out/{spec}/seed-{seed}",
    }
    return Result(**{**settings, **more})  # type: ignore[arg-type]


def test_every_spec_is_trained_with_every_seed_and_the_last_loss_is_kept(
    asked: list[tuple[Task, bool]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hold_yardstick(plan(tmp_path)) == 0
    assert {(task.spec, task.seed) for task, _ in asked} == {
        (spec, seed) for spec in ("transformer-tiny", "deltanet-tiny") for seed in (0, 1, 2)
    }
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        assert 1 <= float(row["nats"]) < 2 <= 3 * float(row["best"])
        assert float(row["bits_per_byte"]) == float(row["nats"]) / math.log(2)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["mean_nats"].keys() == {"transformer-tiny", "deltanet-tiny"}
    printed = capsys.readouterr().out
    assert "step 3/3" in printed
    assert "nonsense" not in printed


def test_a_finished_run_is_not_trained_again_and_an_interrupted_one_goes_on(
    asked: list[tuple[Task, bool]], tmp_path: Path
) -> None:
    task = Task(spec="transformer-tiny", seed=4, threads=1, steps=3)
    first = train(task, tmp_path)
    assert train(task, tmp_path) == first
    assert [resumes for _, resumes in asked] == [False]
    begun = Task(spec="transformer-tiny", seed=5, threads=1, steps=3)
    run = tmp_path / begun.folder()
    run.mkdir(parents=True)
    (run / "last.ckpt").touch()
    assert train(begun, tmp_path).resumed
    assert asked[-1] == (begun, True)


def test_a_run_that_saved_nothing_begins_anew(
    asked: list[tuple[Task, bool]], tmp_path: Path
) -> None:
    task = Task(spec="transformer-tiny", seed=0, threads=1, steps=3)
    run = tmp_path / task.folder()
    run.mkdir(parents=True)
    (run / "resolved.yaml").touch()
    assert not train(task, tmp_path).resumed
    assert not (run / "resolved.yaml").exists()


def test_other_steps_or_settings_are_other_runs() -> None:
    task = Task(spec="hope-tiny", seed=0, threads=1, steps=3)
    other = Task(spec="hope-tiny", seed=0, threads=1, steps=4)
    without = Task(spec="hope-tiny", seed=0, threads=1, steps=3, settings={"vars.max_rate": "0"})
    assert len({task.folder(), other.folder(), without.folder()}) == 3


def test_a_training_that_fails_says_where_its_words_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = "print('a reason'); raise SystemExit(2)"
    monkeypatch.setattr(training, "_command", lambda *_, **__: [sys.executable, "-c", code])
    task = Task(spec="hope-tiny", seed=0, threads=1, steps=3)
    with pytest.raises(BenchmarkError, match=r"seed 0 ended with 2; `.*seed-0\.log`"):
        train(task, tmp_path)
    assert (tmp_path / task.folder()).with_suffix(".log").read_text() == "a reason\n"


def test_the_table_has_the_mean_and_each_seed() -> None:
    results = [result(spec, seed) for seed in (0, 2) for spec in ("one", "two")]
    head, *lines = table(results).splitlines()[1:]
    assert "seed 0" in head
    assert "seed 2" in head
    for line, group in zip(lines, grouped(results), strict=True):
        numbers = line.split()
        mean = statistics.fmean(r.nats for r in group)
        assert numbers[0] == group[0].spec
        assert numbers[3] == f"{mean:.4f}"
        assert numbers[4:6] == [f"{r.nats:.4f}" for r in group]
        assert numbers[6] == f"{mean / math.log(2):.4f}"
