"""Specs that are read anew when one of their files changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from building import model_text

from nestgraph.viz.flows.views import VIEWS
from nestgraph.viz.live.watch import Watched

BODY = "nodes:\n  out: {op: affine, in: x, scale: 2}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(model_text(BODY, 8, "{}"))
    return path


def save(path: Path, text: str) -> None:
    """Write a file, and see to it that its time differs from before."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**6, before + 10**6))


def test_nothing_is_read_again_while_nothing_changes(path: Path) -> None:
    spec = Watched(name=str(path), changes={})
    assert spec.version == 1
    assert not spec.look()
    assert set(spec.data["views"]) == set(VIEWS)


def test_a_save_is_seen(path: Path) -> None:
    spec = Watched(name=str(path), changes={})
    save(path, path.read_text().replace("affine", "silu").replace(", scale: 2", ""))
    assert spec.look()
    assert spec.version == 2
    assert "silu" in spec.data["views"]["block"]


def test_a_broken_spec_says_why_and_recovers(path: Path) -> None:
    good = path.read_text()
    spec = Watched(name=str(path), changes={})
    save(path, good.replace("in: x", "in: y"))
    assert spec.look()
    assert spec.data["views"] == {}
    (problem,) = spec.data["problems"]
    assert "NG201" in problem
    assert "^" in problem
    save(path, good)
    assert spec.look()
    assert spec.data["views"]


@pytest.mark.parametrize("empty", [Path.unlink, lambda path: save(path, "")])
def test_a_file_that_is_empty_while_it_is_saved_is_not_shown(
    path: Path, empty: Callable[[Path], None]
) -> None:
    good = path.read_text()
    spec = Watched(name=str(path), changes={})
    for _ in range(2):
        empty(path)
        assert not spec.look()
        save(path, good.replace("scale: 2", "scale: 33"))
        assert spec.look()
        assert "scale 33" in spec.data["views"]["block"]
        save(path, good)
        assert spec.look()
    empty(path)
    assert [spec.look() for _ in range(5)] == [False, False, False, True, False]
    assert spec.data["problems"]


def test_a_spec_that_it_extends_is_followed_too_even_from_a_broken_start(tmp_path: Path) -> None:
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    child.write_text("nestgraph: 1\nname: child\nextends: base\n")
    base.write_text(model_text(BODY, 8, "{}").replace("in: x", "in: y"))
    spec = Watched(name=str(child), changes={})
    assert spec.data["views"] == {}
    save(base, model_text(BODY, 8, "{}"))
    assert spec.look()
    assert spec.data["views"]


def test_a_file_that_does_not_exist_yet_is_awaited(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    spec = Watched(name=str(path), changes={})
    assert spec.data["problems"]
    save(path, model_text(BODY, 8, "{}"))
    assert spec.look()
    assert spec.data["views"]


def test_changes_of_the_command_line_hold_for_every_reading(path: Path) -> None:
    spec = Watched(name=str(path), changes={"model.embed.width": "16"})
    assert "width 16" in spec.data["views"]["levels"]
