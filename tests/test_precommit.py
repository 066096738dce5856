"""The hook for pre-commit: its command is one of ours, and it stops a broken spec."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nestgraph.cli.commands import app
from nestgraph.language import zoo

ROOT = Path(__file__).parent.parent


def hook() -> dict[str, Any]:
    (only,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return only


def run(*files: Path) -> int:
    program, *arguments = hook()["entry"].split()
    assert program == "nestgraph"
    return CliRunner().invoke(app, [*arguments, *map(str, files)]).exit_code


def test_the_hook_says_what_pre_commit_needs() -> None:
    assert {"id", "name", "entry", "language", "types", "files"} <= set(hook())


def test_it_passes_right_specs_and_stops_wrong_ones(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("nestgraph: 1\nname: bad\n")
    right = [zoo.folder() / "hope.yaml", zoo.folder() / "hope-tiny.yaml"]
    assert run(*right) == 0
    assert run(*right, bad) == 2


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("specs/a.yaml", True),
        ("x/specs/a.yml", True),
        ("a.yaml", False),
        ("specs/deep/a.yaml", False),
        ("specs/a.json", False),
    ],
)
def test_it_looks_at_specs_only(path: str, taken: bool) -> None:
    assert bool(re.search(hook()["files"], path)) == taken
