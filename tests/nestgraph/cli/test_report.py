"""`nestgraph report`, on a real run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="`nestgraph[report]` is not installed")


def test_a_run_is_reported_in_its_folder_or_elsewhere(run, write) -> None:
    Path("text.txt").write_text("".join(random.Random(0).choices("abcdef \n", k=2000)))
    settings = [f"training.{name}" for name in ("context=16", "batch=2", "warmup=1", "steps=11")]
    changes = [part for setting in settings for part in ("--set", setting)]
    spec = write("net: linear,", "net: linear, level: chunk,")
    assert run("train", spec, *changes, "--data", "text.txt", "--out", "run").exit_code == 0

    result = run("report", "run")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Wrote run/report.html\nplots in run/plots\n"
    assert Path("run/plots/update-norm.svg").is_file()
    assert run("report", "run", "run", "-o", "two.html").exit_code == 0
    assert "2 runs" in Path("two.html").read_text(encoding="utf-8")


def test_what_is_no_run_is_a_sentence_with_status_2(run) -> None:
    result = run("report", "nowhere")
    assert result.exit_code == 2
    assert "`nowhere` is no run" in result.stderr
