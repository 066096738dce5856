"""What a shell completes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from nestgraph.cli.commands import app
from nestgraph.language import zoo


def completed(words: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("_NESTGRAPH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    return CliRunner().invoke(app, [], prog_name="nestgraph").stdout.split()


def test_specs_by_name_and_by_file(write, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write()
    assert completed("nestgraph check hope-t", monkeypatch) == ["hope-tiny"]
    assert completed("nestgraph draw sm", monkeypatch) == ["small.yaml"]
    assert {*zoo.names(), *zoo.optimizers()} <= set(completed("nestgraph show ", monkeypatch))


def test_passes_by_name(monkeypatch) -> None:
    assert completed("nestgraph compile hope --print-ir-after sel", monkeypatch) == ["select"]


def test_codes_by_their_beginning(monkeypatch) -> None:
    assert completed("nestgraph explain NG22", monkeypatch)[:2] == ["NG220", "NG221"]
