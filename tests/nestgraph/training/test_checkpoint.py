"""Checkpoints open alone, and those that can't be opened say why."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from nestgraph import __version__
from nestgraph.errors import InputError, SpecError
from nestgraph.spec import Spec, load
from nestgraph.training import compile, load_run
from nestgraph.training.checkpoint import describe


def saved(spec: Spec, path: Path, **changes: Any) -> Path:
    """A checkpoint as Lightning would write it, in the parts that matter here."""
    module = compile(spec)
    content: dict[str, Any] = {"state_dict": module.state_dict(), "global_step": 3}
    module.on_save_checkpoint(content)
    torch.save({**content, **changes}, path)
    return path


def test_a_checkpoint_opens_without_any_of_the_files_of_its_spec(
    spec_file: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child.yaml"
    child.write_text("nestgraph: 1\nname: child\nextends: small.yaml\nvars: {width: 8}\n")
    spec = load(child, set={"training.lr": "1e-2", "training.steps": 7})
    module = compile(spec, seed=9)
    content: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    torch.save(content, tmp_path / "x.ckpt")
    spec_file.unlink()
    child.unlink()

    opened = load_run(tmp_path / "x.ckpt")

    tokens = torch.randint(256, (2, 9))
    assert torch.equal(opened(tokens).logits, module(tokens).logits)
    assert opened.spec.system == spec.system
    assert opened.spec.sources == spec.sources
    assert (opened.spec.system.training.lr, opened.spec.system.training.steps) == (0.01, 7)
    assert opened.spec.resolved_yaml() == spec.resolved_yaml()


def test_the_entry_is_plain_values(spec: Spec) -> None:
    entry = describe(spec)

    assert entry == json.loads(json.dumps(entry))
    assert entry["version"] == __version__
    assert entry["sources"][entry["main"]].startswith("nestgraph: 1")
    assert "nestgraph: 1" in entry["resolved"]


def test_a_run_folder_means_its_last_checkpoint(spec: Spec, tmp_path: Path) -> None:
    saved(spec, tmp_path / "last.ckpt")

    assert load_run(str(tmp_path)).spec.system == spec.system


def test_what_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"NG711 there is no run `.*gone`; give a run folder"):
        load_run(tmp_path / "gone")
    with pytest.raises(InputError, match=r"NG711 `.*` holds no last\.ckpt"):
        load_run(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_checkpoint_that_was_cut_short_is_not_opened(
    spec: Spec, tmp_path: Path, share: float
) -> None:
    path = saved(spec, tmp_path / "x.ckpt")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(InputError, match=r"NG712 `.*x\.ckpt` can't be read as a checkpoint"):
        load_run(path)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harmed",)


def foreign_files(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    return {
        "text": b"nestgraph: 1\n",
        "noise": os.urandom(3000),
        "pickle": pickle.dumps({"a": 1}, protocol=2),
        "evil": pickle.dumps(Evil(), protocol=2),
        "zip": (folder / "zip").read_bytes(),
        "null": bytes(3000),
    }


@pytest.mark.parametrize("kind", ["text", "noise", "pickle", "evil", "zip", "null"])
def test_a_file_of_another_program_is_not_opened(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.ckpt"
    path.write_bytes(foreign_files(tmp_path)[kind])

    with pytest.raises(InputError, match=r"NG71[23] `.*x\.ckpt`"):
        load_run(path)

    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [3, [1, 2], {"state_dict": {}}, {"nestgraph": 5}])
def test_a_checkpoint_without_a_spec_is_not_nestgraphs(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.ckpt")

    with pytest.raises(InputError, match=r"NG713 .* was not written by nestgraph"):
        load_run(tmp_path / "x.ckpt")


def test_the_format_of_a_later_version_is_named(spec: Spec, tmp_path: Path) -> None:
    entry = {**describe(spec), "format": 2, "version": "9.9"}

    with pytest.raises(InputError, match=r"has format 2 of nestgraph 9\.9; .* format 1"):
        load_run(saved(spec, tmp_path / "x.ckpt", nestgraph=entry))


@pytest.mark.parametrize("part", ["main", "sources", "overrides"])
def test_an_incomplete_entry_is_refused(spec: Spec, tmp_path: Path, part: str) -> None:
    entry = {key: value for key, value in describe(spec).items() if key != part}

    with pytest.raises(InputError, match="is incomplete"):
        load_run(saved(spec, tmp_path / "x.ckpt", nestgraph=entry))


def test_weights_of_another_spec_are_refused_by_name(
    spec: Spec, spec_file: Path, tmp_path: Path
) -> None:
    wide = compile(load(spec_file, set={"vars.width": 32})).state_dict()
    fewer = {name: value for name, value in wide.items() if "embed" not in name}

    with pytest.raises(InputError, match=r"embed\.weight has shape \(256, 32\), not \(256, 16\)"):
        load_run(saved(spec, tmp_path / "x.ckpt", state_dict=wide))
    with pytest.raises(InputError, match=r"embed\.weight is missing, and \d+ more"):
        load_run(saved(spec, tmp_path / "x.ckpt", state_dict=fewer))
    with pytest.raises(InputError, match="the weights in"):
        load_run(saved(spec, tmp_path / "x.ckpt", state_dict={"a": 1}))


def test_a_spec_that_no_longer_passes_shows_its_places(spec: Spec, tmp_path: Path) -> None:
    entry = describe(spec)
    broken = entry["sources"][entry["main"]].replace("query: q", "query: nowhere", 1)
    entry["sources"] = {entry["main"]: broken}

    with pytest.raises(SpecError, match=r"small\.yaml:\d+:\d+: NG201 .*nowhere"):
        load_run(saved(spec, tmp_path / "x.ckpt", nestgraph=entry))
