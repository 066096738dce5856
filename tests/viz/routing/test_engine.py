"""Which program paints, and what is said when none does."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from nestgraph.viz.routing.engine import VARIABLE, DrawError, lay_out, paint, renderer

SOURCE = 'digraph { a [pos="0,0"] }'


def program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a machine without any program to paint with; its path holds one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "none"))
    return folder


def test_graphviz_pure_of_this_installation_comes_before_dot(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dot = program(bare / "dot")
    assert renderer() == dot
    pure = program(tmp_path / "scripts" / "graphviz-pure")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(pure.parent))
    assert renderer() == pure


def test_the_environment_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "dot")
    other = program(bare / "other")
    monkeypatch.setenv(VARIABLE, str(other))
    assert renderer() == other


def test_without_a_program_the_error_says_what_to_install(bare: Path) -> None:
    with pytest.raises(DrawError, match="pip install graphviz-pure"):
        renderer()


def test_a_program_that_is_not_there_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/no/such/dot")
    with pytest.raises(DrawError, match="NESTGRAPH_DOT=/no/such/dot"):
        renderer()


def test_what_a_failing_program_says_is_passed_on(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = program(bare / "broken", "echo 'out of ink' >&2; exit 3")
    monkeypatch.setenv(VARIABLE, str(broken))
    with pytest.raises(DrawError, match="out of ink"):
        paint(SOURCE, 72)


def test_a_silent_failure_tells_the_status(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(program(bare / "broken", "exit 3")))
    with pytest.raises(DrawError, match="status 3"):
        paint(SOURCE, 72)


def test_a_file_that_is_no_program_is_refused(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = bare / "odd"
    odd.write_bytes(b"\x00\x01")
    odd.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(odd))
    with pytest.raises(DrawError, match="could not be run"):
        paint(SOURCE, 72)


def test_places_come_as_json() -> None:
    assert json.loads(lay_out("digraph { a -> b }"))["edges"]
