"""Optimizers that specs refer to by a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestgraph.errors import SpecError
from nestgraph.spec import load

OWN = "nestgraph: 1\nname: own\nextends: lion\n"
MODEL = """\
nestgraph: 1
name: mine
extends: transformer-tiny
training: {optimizer: parts/own.yaml}
"""


def write(folder: Path) -> Path:
    """A model that names an optimizer in a folder below its own."""
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "own.yaml").write_text(OWN)
    (folder / "mine.yaml").write_text(MODEL)
    return folder / "mine.yaml"


def optimizer_of(spec: str | Path, **settings: str) -> str:
    found = load(spec, {f"training.{key}": value for key, value in settings.items()})
    system = found.system.training.system
    assert system is not None
    return system.name


def test_a_path_is_seen_from_the_file_that_says_it(tmp_path: Path) -> None:
    assert optimizer_of(write(tmp_path / "far")) == "own"


@pytest.mark.parametrize("path", ["parts/own.yaml", "./parts/own.yaml"])
def test_a_path_that_is_set_from_outside_is_seen_from_here(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert optimizer_of("transformer-tiny", optimizer=path) == "own"
    assert optimizer_of("transformer-tiny", optimizer=str(tmp_path / path)) == "own"


def test_a_name_beside_the_spec_may_be_set_too(tmp_path: Path) -> None:
    assert optimizer_of(write(tmp_path / "far"), optimizer="parts/own") == "own"


def test_a_mistyped_optimizer_is_told_the_nearest_one() -> None:
    with pytest.raises(SpecError, match=r"NG347 .*`adamww`; did you mean `adamw`"):
        load("transformer-tiny", set={"training.optimizer": "adamww"})


def test_a_path_that_leads_nowhere_is_refused_where_it_stands(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "parts" / "own.yaml").unlink()
    with pytest.raises(SpecError, match=r"mine.yaml:4:23: NG347 no optimizer is called `parts/own"):
        load(file)
