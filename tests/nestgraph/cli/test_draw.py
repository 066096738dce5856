"""`nestgraph draw`: a file, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestgraph.export import ENDINGS


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<"), ("png", b"\x89PNG"), ("dot", b"//")])
def test_the_ending_of_the_file_says_what_is_written(run, write, ending, start) -> None:
    result = run("draw", write(), "-o", f"out.{ending}")
    assert result.exit_code == 0, result.output
    assert Path(f"out.{ending}").read_bytes().startswith(start)
    assert f"out.{ending}" in result.stdout


@pytest.mark.parametrize(
    ("out", "said"),
    [("out.gif", "`gif` is no format"), ("out", "svg, png, pdf"), ("nowhere/out.svg", "nowhere")]
    + [(f"out{ending}", "`nestgraph export` writes it") for ending in ENDINGS],
)
def test_what_cannot_be_written_is_a_sentence_with_status_2(run, write, out, said) -> None:
    result = run("draw", write(), "-o", out)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path(out).exists()


def test_a_spec_that_no_executor_runs_is_drawn(run, write) -> None:
    path = write("net: linear", "net: {kind: mlp, gated: true}")
    assert run("draw", path, "-o", "out.svg").exit_code == 0


@pytest.mark.parametrize("ending", ["pdf", "mmd", "txt", "html"])
@pytest.mark.parametrize("view", ["levels", "block", "optimizer", "system"])
def test_every_view_is_drawn_in_every_format(run, write, ending, view) -> None:
    result = run("draw", write(), "-o", f"out.{ending}", "--view", view)
    assert result.exit_code == 0, result.output
    assert b"small" in Path(f"out.{ending}").read_bytes() or ending == "pdf"


def test_depth_focus_span_and_theme_reach_the_picture(run, write) -> None:
    path = write()
    assert run("draw", path, "-o", "a.txt", "--view", "block", "--depth", 0).exit_code == 0
    assert "1 memory" in Path("a.txt").read_text()
    assert run("draw", path, "-o", "b.txt", "--view", "block", "--focus", "M").exit_code == 0
    assert "embed" not in Path("b.txt").read_text()
    assert run("draw", path, "-o", "c.txt", "--view", "clock", "--span", "5:9").exit_code == 0
    assert "tokens 5 to 9" in Path("c.txt").read_text()
    assert run("draw", path, "-o", "d.svg", "--theme", "dark").exit_code == 0
    assert "#17171C" in Path("d.svg").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--depth", 1), "a depth is for the views"),
        (("--view", "block", "--focus", "nothing"), "names nothing in this view"),
        (("--view", "clock", "--span", "soon"), "`soon` is no span"),
        (("--view", "clock", "--focus", "M"), "no nodes to focus on"),
    ],
)
def test_what_can_not_be_shown_is_a_sentence_with_status_2(run, write, options, said) -> None:
    result = run("draw", write(), "-o", "out.svg", *options)
    assert result.exit_code == 2
    assert "NG805" in result.stderr
    assert said in result.stderr
