"""`nestgraph export`: files by their ending, and what can go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("-o", "g.json"), '{\n "directed"'),
        (("-o", "g.graphml"), "<graphml"),
        (("-o", "g.json", "--format", "model-explorer"), '{\n "label"'),
        (("-o", "g.txt", "--format", "graphml"), "<graphml"),
    ],
)
def test_the_ending_or_the_format_says_what_is_written(run, write, arguments, start) -> None:
    result = run("export", write(), *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Wrote {arguments[1]}\n"
    assert start in Path(arguments[1]).read_text(encoding="utf-8")[:200]


def test_without_a_file_it_is_printed(run, write) -> None:
    told = json.loads(run("export", write()).stdout)
    rolled = json.loads(run("export", write(), "--roll").stdout)
    assert len(told["nodes"]) > len(rolled["nodes"])


def test_an_ending_that_says_nothing_is_a_sentence_with_status_2(run, write) -> None:
    result = run("export", write(), "-o", "g.txt")
    assert result.exit_code == 2
    assert "NG807" in result.stderr
    assert not Path("g.txt").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(run, write) -> None:
    result = run("export", write(), "-o", "nowhere/g.json")
    assert result.exit_code == 2
    assert "NG721" in result.stderr
