"""What a run keeps of its spec opens, and is extended, from its folder alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nestgraph.language.spec import Spec, load
from nestgraph.runtime.file_starts import file_starts
from nestgraph.text.kept import NO_NAMES, Names, renamed_text
from nestgraph.training.kept_files import keep_spec

LAYER = """\
  layer:
    memories: {M: {keys: k, values: x, rule: {rate: 0.5},
                   init: {kind: checkpoint, path: INIT, key: w}}}
    nodes:
      k: {op: linear, in: x}
      y: {read: M, query: k}
      out: {op: sum, in: [x, y]}
"""
BASE = f"""\
nestgraph: 1
name: base
vars: {{width: 4, lies: &w "w\'s.safetensors"}}
blocks:
{LAYER.replace("INIT", "$lies")}model:
  {{embed: {{vocab: 256, width: $width}}, stack: [{{block: layer}}], norm: rms_norm, head: {{}}}}
training: {{OPTIMIZER, context: 8, batch: 2, data: text.txt}}
"""
OPTIMIZERS = {
    "name": "optimizer: opt/mix.yaml",
    "stem": "optimizer: opt/mix",
    "quoted": "optimizer: 'opt/mix.yaml'",
    "inline": "optimizer: {extends: opt/mix.yaml}",
    "shipped": "optimizer: adamw, betas: [0.5, 0.75]",
    "default": "lr: 0.01",
}


def written(folder: Path, optimizer: str) -> Spec:
    """Return a spec that names one file of every kind, in several folders; comments and all."""
    for name in ("a", "b/opt"):
        (folder / name).mkdir(parents=True)
    save_file({"w": torch.randn(1, 4, 4)}, folder / "b" / "w's.safetensors")
    (folder / "b" / "base.yaml").write_text(BASE.replace("OPTIMIZER", optimizer))
    (folder / "b" / "text.txt").write_text("to be or not to be")
    (folder / "b" / "opt" / "mix.yaml").write_text(
        "nestgraph: 1\nname: mix\nextends: muon\n"
        "optimizer: [{for: hidden_matrices, spec: muon}, {for: rest, spec: ../opt/part.yaml}]\n"
    )
    (folder / "b" / "opt" / "part.yaml").write_text("nestgraph: 1\nname: p\nextends: lion\n")
    child = "# mine\nnestgraph: 1\nname: child\nextends:   >-\n  ../b/base.yaml\ndoc: a\n"
    (folder / "a" / "child.yaml").write_text(child)
    return load(folder / "a" / "child.yaml")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_kept_spec_opens_and_is_extended_alone_wherever_its_folder_lies(
    optimizer: str, tmp_path: Path
) -> None:
    spec = written(tmp_path, OPTIMIZERS[optimizer])
    assert spec.system.training.system is not None
    groups, weights = spec.system.training.system.optimizer, file_starts(spec.system)
    (tmp_path / "run").mkdir()
    kept = keep_spec(tmp_path / "run", spec, begun=False)
    assert {file.name for file in kept} == {file.name for file in (tmp_path / "run").iterdir()}
    text = str((tmp_path / "b" / "text.txt").resolve())
    for gone in ("a", "b/opt"):
        shutil.rmtree(tmp_path / gone)
    (tmp_path / "b" / "w's.safetensors").unlink()
    far = tmp_path / "far" / "away"
    far.mkdir(parents=True)
    (tmp_path / "run").rename(far / "run")
    (far / "own.yaml").write_text("nestgraph: 1\nname: own\nextends: run/spec.yaml\n")

    for name in ("run/spec.yaml", "run/resolved.yaml", "own.yaml"):
        again = load(far / name)
        files = {again.path, *again.sources} - again.shipped - {str(far / "own.yaml")}
        assert {Path(file).parent for file in files} == {far / "run"}
        assert again.system.training.data == text
        trained_by = again.system.training.system
        assert trained_by is not None
        assert trained_by.optimizer is not None
        assert groups is not None
        assert [_meaning(one) for one in trained_by.optimizer] == [_meaning(one) for one in groups]
        found = file_starts(again.system)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)


def _meaning(group: object) -> str:
    """Return a group without its places and the names of files."""
    return re.sub(r"Span\([^)]*\)|spec='[^']*'|name='[^']*optimizer'", "", repr(group))


def test_a_run_that_goes_on_keeps_the_files_that_it_has(tmp_path: Path) -> None:
    spec = written(tmp_path, "lr: 0.01")
    (tmp_path / "run").mkdir()
    keep_spec(tmp_path / "run", spec, begun=False)
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    assert "start-1.safetensors" in before
    save_file({"w": torch.zeros(1, 4, 4)}, tmp_path / "b" / "w's.safetensors")
    keep_spec(tmp_path / "run", spec, begun=True)
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}


def test_a_name_that_is_set_from_outside_is_kept_in_the_resolved_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "lr: 0.01")
    monkeypatch.chdir(tmp_path)
    spec = load("a/child.yaml", {"training.optimizer": "b/opt/mix"})
    Path("run").mkdir()
    keep_spec(Path("run"), spec, begun=False)
    shutil.rmtree("b")
    again = load("run/resolved.yaml").system.training.system
    assert again is not None
    assert again.name == "mix"


def test_a_base_with_a_name_as_long_as_names_can_be_is_kept(tmp_path: Path) -> None:
    long = "x" * 250 + ".yaml"
    (tmp_path / long).write_text("nestgraph: 1\nname: long\nextends: transformer-tiny\n")
    (tmp_path / "m.yaml").write_text(f"nestgraph: 1\nname: m\nextends: {long}\n")
    (tmp_path / "run").mkdir()
    keep_spec(tmp_path / "run", load(tmp_path / "m.yaml"), begun=False)
    assert load(tmp_path / "run" / "spec.yaml").system.name == "m"


def test_a_text_without_names_is_as_it_was() -> None:
    text = "\ufeffnestgraph: 1\r\nname: a\t# \u00e9\r\n"
    assert renamed_text(text, "a.yaml", NO_NAMES) == text


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "value", ["b.yaml", "'b.yaml'", '"b\\x2eyaml"', "&n b.yaml", ">-\n  b.yaml", "|-\r\n  b.yaml"]
)
def test_only_the_name_of_a_text_is_rewritten(value: str, mark: str, tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("nestgraph: 1\nname: b\nextends: transformer-tiny\n")
    text = f"{mark}# \U0001f600 mine\nextends: {value}\nnestgraph: 1 # \u00e9\nname: a\n"
    (tmp_path / "a.yaml").write_bytes(text.encode())
    spec = load(tmp_path / "a.yaml")
    (place,) = (one for one in spec.names if one.file == spec.path)
    new = renamed_text(spec.sources[spec.path], spec.path, Names(new={place: "it's 1.yaml"}))
    anchor = "&n " if value.startswith("&") else ""
    told = f'# \U0001f600 mine\nextends: {anchor}"it\'s 1.yaml"\nnestgraph: 1 # \u00e9\nname: a\n'
    assert new.replace("\r\n", "\n") == mark + told
