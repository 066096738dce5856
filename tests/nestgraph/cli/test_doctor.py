"""`nestgraph doctor`: what is here, and what to do where something isn't."""

from __future__ import annotations

import json

import pytest

from nestgraph.cli import doctor


def states(run) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(run("doctor", "--json").stdout)}


def test_a_whole_installation_is_well(run) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "broken" not in result.stdout
    found = states(run)
    assert {"python", "torch", "devices", "pictures", "texts", "folder"} <= set(found)
    assert found["torch"] == "ok"


def test_without_a_program_to_draw_with_the_cure_is_said(run, monkeypatch) -> None:
    monkeypatch.setenv("NESTGRAPH_DOT", "/nowhere/dot")
    result = run("doctor")
    assert result.exit_code == 0
    assert "pictures: NESTGRAPH_DOT=/nowhere/dot is not a program" in result.stdout


def test_a_package_that_is_gone_is_broken(run, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED", ("torch", "no-such-package"))
    assert run("doctor").exit_code == 1
    assert states(run)["no-such-package"] == "broken"


def test_an_extra_that_is_not_installed_is_named(run, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"no_such_package": "dreams"})
    result = run("doctor")
    assert result.exit_code == 0
    assert "pip install 'nestgraph[dreams]'" in result.stdout


def test_whatever_breaks_the_rest_is_looked_at(run, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ImportError("torn library")

    monkeypatch.setattr("torch.cuda.device_count", broken)
    found = states(run)
    assert found["devices"] == "broken"
    assert found["texts"] == "ok"
    assert "torn library" in run("doctor").stdout


def test_a_folder_that_cannot_be_written_to_is_named(run, monkeypatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refused)
    result = run("doctor")
    assert "folder: change to a folder that you may write to" in result.stdout


@pytest.mark.parametrize("extra", sorted(doctor.EXTRAS.values()))
def test_the_extras_are_those_of_the_package(extra) -> None:
    import tomllib
    from pathlib import Path

    settings = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert extra in settings["project"]["optional-dependencies"]
