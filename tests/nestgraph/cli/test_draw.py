"""`nestgraph draw`: a file, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<"), ("png", b"\x89PNG"), ("dot", b"//")])
def test_the_ending_of_the_file_says_what_is_written(run, write, ending, start) -> None:
    result = run("draw", write(), "-o", f"out.{ending}")
    assert result.exit_code == 0, result.output
    assert Path(f"out.{ending}").read_bytes().startswith(start)
    assert f"out.{ending}" in result.stdout


@pytest.mark.parametrize(
    ("out", "said"),
    [("out.gif", "`gif` is no format"), ("out", "svg, png, dot"), ("nowhere/out.svg", "nowhere")],
)
def test_what_cannot_be_written_is_a_sentence_with_status_2(run, write, out, said) -> None:
    result = run("draw", write(), "-o", out)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path(out).exists()


def test_a_spec_that_no_executor_runs_is_drawn(run, write) -> None:
    path = write("net: linear", "net: linear, init: {kind: checkpoint, path: w.pt, key: M}")
    assert run("draw", path, "-o", "out.svg").exit_code == 0
