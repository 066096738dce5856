"""Checkpoints open alone, and those that can't be opened say why."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from nestgraph import __version__
from nestgraph.errors import InputError, InputWarning, SpecError
from nestgraph.language.spec import Spec, load
from nestgraph.runtime.checksums import seal
from nestgraph.runtime.tensor_files import read_tensors
from nestgraph.training import compile, load_run
from nestgraph.training.checkpoint import describe
from nestgraph.training.loading import adopt


def saved(spec: Spec, path: Path, **changes: Any) -> Path:
    """Return a checkpoint as Lightning would write it, in the parts that matter here."""
    module = compile(spec)
    content: dict[str, Any] = {"state_dict": module.state_dict(), "global_step": 3}
    module.on_save_checkpoint(content)
    content |= changes
    seal(content)
    torch.save(content, path)
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
    entry = {**describe(spec), "format": 3, "version": "9.9"}

    with pytest.raises(InputError, match=r"has format 3 of nestgraph 9\.9; .* format 2"):
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


def flipped(path: Path, tensor: torch.Tensor) -> None:
    """Change one bit of a tensor in a file."""
    content = bytearray(path.read_bytes())
    at = content.index(tensor.numpy().tobytes())
    content[at + 5] ^= 4
    path.write_bytes(content)


def test_a_bit_that_was_flipped_in_a_weight_is_told_with_its_name(
    spec: Spec, tmp_path: Path
) -> None:
    path = saved(spec, tmp_path / "x.ckpt")
    name, tensor = list(compile(spec).state_dict().items())[3]
    flipped(path, tensor)

    for opening in (load_run, lambda path: adopt(compile(spec), path), read_tensors):
        with pytest.raises(InputError, match=rf"NG715 `.*x\.ckpt` is damaged: `{name}` is not"):
            opening(path)


def test_what_was_changed_on_purpose_opens_as_its_message_says(spec: Spec, tmp_path: Path) -> None:
    path = saved(spec, tmp_path / "x.ckpt")
    content = torch.load(path, weights_only=True)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] += 1
    torch.save(content, path)
    with pytest.raises(InputError, match=r"set its `\['nestgraph'\]\['checksums'\]` to None"):
        load_run(path)

    content["nestgraph"]["checksums"] = None
    torch.save(content, path)
    with pytest.warns(InputWarning, match=r"NG718 `.*x\.ckpt` has no checksums"):
        opened = load_run(path)
    assert torch.equal(opened.state_dict()[name], content["state_dict"][name])


def test_checksums_cant_get_lost(spec: Spec, tmp_path: Path) -> None:
    path = saved(spec, tmp_path / "x.ckpt")
    content = torch.load(path, weights_only=True)
    del content["nestgraph"]["checksums"]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"NG713 .* it has lost its checksums"):
        load_run(path)


def test_a_file_of_the_first_format_opens_with_a_note(spec: Spec, tmp_path: Path) -> None:
    module = compile(spec)
    entry = {**describe(spec), "format": 1}
    torch.save({"state_dict": module.state_dict(), "nestgraph": entry}, tmp_path / "x.ckpt")

    with pytest.warns(InputWarning, match="NG718"):
        opened = load_run(tmp_path / "x.ckpt")
    assert all(torch.equal(x, opened.state_dict()[n]) for n, x in module.state_dict().items())

    flipped(tmp_path / "x.ckpt", list(module.state_dict().values())[3])  # it has those of its zip
    with pytest.raises(InputError, match=r"NG715 .* its record `x/data/\d+`"):
        load_run(tmp_path / "x.ckpt")


def test_a_kept_source_that_is_no_text_is_named(spec: Spec, tmp_path: Path) -> None:
    for changes, why in (
        ({"sources": {spec.path: None}}, "the source `.*` is no text"),
        ({"main": "gone.yaml"}, r"its spec `gone\.yaml` is not among its sources"),
        ({"overrides": "["}, "its overrides are no JSON"),
        ({"overrides": "[]"}, "its overrides are no table"),
    ):
        path = saved(spec, tmp_path / "x.ckpt", nestgraph={**describe(spec), **changes})
        with pytest.raises(InputError, match=rf"NG713 `.*x\.ckpt` is incomplete: {why}"):
            load_run(path)


def bomb(folder: Path, claimed: int) -> Path:
    """Return a small archive with a record of many zeros."""
    path = folder / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/version", "3\n")
        with archive.open("archive/data.pkl", "w", force_zip64=True) as record:
            for _ in range(claimed >> 20):
                record.write(bytes(1 << 20))
    return path


def test_an_archive_that_unpacks_to_many_times_its_size_is_not_unpacked(
    spec: Spec, tmp_path: Path
) -> None:
    path = bomb(tmp_path, 200 << 20)
    tracemalloc.start()
    try:
        for opening in (load_run, lambda path: adopt(compile(spec), path), read_tensors):
            with pytest.raises(InputError, match=r"NG716 `.*bomb\.ckpt` has .* bytes and unpacks"):
                opening(path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_few_numbers_that_claim_to_be_many_are_refused(spec: Spec, tmp_path: Path) -> None:
    torch.save({"W": torch.zeros(1).expand(1 << 20, 1 << 20)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"NG716 .* unpacks to 4,398,046,511,104"):
        read_tensors(tmp_path / "x.pt")
    state = {name: torch.zeros(1).expand(1 << 20, 1 << 20) for name in ("a", "b")}
    torch.save({"state_dict": state, "nestgraph": describe(spec)}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="NG716"):
        load_run(tmp_path / "x.ckpt")


def test_a_header_longer_than_its_file_is_refused(tmp_path: Path) -> None:
    for length in (0, 7, 2**20, 2**40, 2**63, 2**64 - 1):
        (tmp_path / "x.safetensors").write_bytes(length.to_bytes(8, "little") + b"{}")
        with pytest.raises(InputError, match=r"NG712 `.*x\.safetensors` holds no tensors"):
            read_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("kind", ["complex", "sparse", "NaN"])
def test_weights_that_are_none_are_not_begun_with(spec: Spec, tmp_path: Path, kind: str) -> None:
    weights = compile(spec).state_dict()
    name = next(name for name, x in weights.items() if x.ndim == 2)
    wrong = {"complex": weights[name] + 1j, "sparse": weights[name].to_sparse()}
    weights[name] = wrong.get(kind, weights[name] / 0 * 0)
    path = saved(spec, tmp_path / "x.ckpt", state_dict=weights)
    with pytest.raises(InputError, match=rf"{name}`? .*(complex64|sparse_coo|nan at)"):
        adopt(compile(spec), path)


def test_checkpoints_of_anybodys_trainer_have_checksums_too(spec: Spec, tmp_path: Path) -> None:
    def trainer(steps: int) -> L.Trainer:
        return L.Trainer(
            accelerator="cpu",
            max_steps=steps,
            callbacks=[ModelCheckpoint(dirpath=tmp_path, filename="{step}", every_n_train_steps=2)],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    warnings.filterwarnings("ignore", module="lightning")  # about workers and validation
    data = DataLoader(list(torch.randint(256, (40, 9))), batch_size=3)  # type: ignore[arg-type]
    module = compile(spec)
    trainer(4).fit(module, data)
    path = tmp_path / "step=4.ckpt"
    assert load_run(path).spec.system == spec.system
    trainer(6).fit(compile(spec), data, ckpt_path=path, weights_only=True)

    name, tensor = list(module.state_dict().items())[3]
    flipped(path, tensor)
    with pytest.raises(InputError, match=f"NG715 .*{name}"):
        load_run(path)
    with pytest.raises(InputError, match=f"NG715 the checkpoint is damaged: `{name}`"):
        trainer(6).fit(compile(spec), data, ckpt_path=path, weights_only=True)
