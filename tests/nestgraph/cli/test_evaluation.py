"""`nestgraph eval`: lists, refusals, and a small table."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

TASK = "mqar:T=8,K=2,V=8"


def test_the_list_names_every_task_with_its_settings(run) -> None:
    result = run("eval", "--list")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert any(line.startswith("mqar:T=64,K=4,V=256,a=0.01") for line in lines)
    assert lines == sorted(lines)


def test_a_table_is_printed_kept_and_told_again(run, write) -> None:
    spec = write()
    asked = ("eval", TASK, spec, "--seeds", 0, 1, "--lr", "1e-2", "--steps", 2, "-o", "r.jsonl")
    result = run(*asked)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("2 steps") == 2
    table = result.stdout[result.stdout.index("## mqar") :]
    assert "| accuracy |" in table
    assert "| 0 1 |" in table
    assert len(Path("r.jsonl").read_text().splitlines()) == 2

    told = run("eval", "--report", "r.jsonl")
    assert told.exit_code == 0, told.output
    assert told.stdout == table
    again = run(*asked)
    assert again.stdout == result.stdout
    assert len(Path("r.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "NG930 no task is named"),
        (("mqr", "deltanet-tiny"), "NG930 no task is called `mqr`; did you mean `mqar`?"),
        ((TASK,), "NG933 no spec is to be evaluated"),
        ((TASK, "nowhere.yaml"), "NG100"),
        ((TASK, "muon"), "NG723 `muon` is an optimizer"),
        (("mqar:K=0", "deltanet-tiny"), "NG931 `K` (=0) must be at least 1"),
        ((TASK, "deltanet-tiny", "--steps", "0"), "NG932 `--steps` (=0)"),
        ((TASK, "deltanet-tiny", "--budget", "0"), "NG932 `--budget` (=0)"),
        ((TASK, "deltanet-tiny", "--lr", "-1"), "NG932 `--lr` (=-1)"),
        ((TASK, "deltanet-tiny", "--seeds", "-1"), "NG749 `seed` (=-1)"),
        ((TASK, "deltanet-tiny", "--ablate", "nothing"), "NG937"),
        ((TASK, "deltanet-tiny", "--set", "training.lr=1"), "NG933"),
        (("--report", "nowhere.jsonl"), "NG936 `nowhere.jsonl` holds no results"),
        (("--list", TASK), "NG939 `eval` is asked for `--list` and for something else"),
        (("--list", "--seeds", "0"), "NG939"),
        (("--report", "f", TASK), "NG939 `eval` is asked for `--report`"),
        (("--report", "f", "--steps", "5"), "NG939"),
        (("--report", "f", "--controls", "all"), "NG939"),
        (("length",), "NG711 no run is named"),
        (("length", "nowhere"), "NG711"),
        (("length", "nowhere", "--seeds", "0"), "NG939 `eval` is asked for `length`"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_with_status_2(run, asked, words) -> None:
    result = run("eval", *asked)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert not list(Path().iterdir())


def test_a_run_is_read_at_length(run, write) -> None:
    Path("text.txt").write_text("".join(random.Random(0).choices("abcdef \n", k=2000)))
    settings = [f"training.{name}" for name in ("context=8", "batch=2", "warmup=1", "steps=2")]
    changes = [part for setting in settings for part in ("--set", setting)]
    for seed in (0, 1):
        asked = ("train", write(), *changes, "--data", "text.txt", "--seed", seed)
        assert run(*asked, "--out", f"run-{seed}").exit_code == 0
    result = run("eval", "length", "run-0", "run-1", "-o", "curves.csv")
    assert result.exit_code == 0, result.output
    assert "## run-0" in result.stdout
    assert "128 tokens, 16 times the context of 8" in result.stdout
    assert "## 2 runs" in result.stdout
    assert len(Path("curves.csv").read_text().splitlines()) == 1 + 2 * 128


def test_who_stops_a_table_is_told_where_its_trainings_are(run, write, monkeypatch) -> None:
    def stopped(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nestgraph.evaluation.results.evaluate", stopped)
    kept = run("eval", "mqar", write(), "-o", "kept.jsonl")
    lost = run("eval", "mqar", write())

    assert (kept.exit_code, lost.exit_code) == (130, 130)
    assert "finished trainings are in kept.jsonl; the same command goes on" in kept.stdout
    assert "finished trainings" not in lost.stdout
