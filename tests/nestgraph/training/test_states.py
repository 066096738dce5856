"""States as files: what comes back, what is refused, and what a refusal leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from nestgraph.errors import InputError, InputWarning
from nestgraph.language.spec import load
from nestgraph.runtime.tensor_files import load_safetensors
from nestgraph.training import compile
from nestgraph.training.module import NestModule
from nestgraph.training.states import completed, load_state, named_tensors, save_state

SMALL = {"width": 16, "heads": 2, "depth": 1, "fast": 4, "mid": 8, "slow": 16}


def online(changes: Mapping[str, object] | None = None) -> NestModule:
    """Return a small model that learns while it reads."""
    settings: dict[str, object] = {f"vars.{key}": value for key, value in SMALL.items()}
    return compile(load("hope-online", set={**settings, **(changes or {})}), seed=1)


def read(module: NestModule, text: torch.Tensor) -> dict[str, object]:
    with torch.no_grad():
        return dict(module(text).state)


@pytest.mark.parametrize("name", ["hope-online", "transformer-tiny", "gated-deltanet-tiny"])
def test_a_state_comes_back_and_goes_on_as_it_would_have(name: str, tmp_path: Path) -> None:
    module = online() if name == "hope-online" else compile(load(name), seed=1)
    text, file = torch.randint(256, (2, 50)), tmp_path / "mem.safetensors"
    state = read(module, text[:, :27])

    save_state(file, module, state)
    back = load_state(file, module)

    for (one, a), (other, b) in zip(named_tensors(state), named_tensors(back), strict=True):
        assert one == other
        assert torch.equal(a, b), one
    with torch.no_grad():
        assert torch.equal(module(text[:, 27:], state).logits, module(text[:, 27:], back).logits)


def test_the_state_of_another_model_is_refused_with_what_differs(tmp_path: Path) -> None:
    module, file = online(), tmp_path / "mem.safetensors"
    save_state(file, module, read(module, torch.randint(256, (1, 9))))
    before = file.read_bytes()

    with pytest.raises(
        InputError, match=r"another model.*in `levels`, `fast: 4 tokens` there"
    ) as e:
        load_state(file, online({"vars.fast": 2}))

    assert e.value.diagnostics[0].code == "NG762"
    assert file.read_bytes() == before


def test_settings_of_training_are_no_difference(tmp_path: Path) -> None:
    module, file = online(), tmp_path / "mem.safetensors"
    save_state(file, module, read(module, torch.randint(256, (1, 9))))

    load_state(file, online({"training.lr": 0.5, "training.steps": 3}))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_state_is_a_sentence(share: float, tmp_path: Path) -> None:
    module, file = online(), tmp_path / "mem.safetensors"
    save_state(file, module, read(module, torch.randint(256, (1, 9))))
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    with pytest.raises(InputError, match="can't be read as a state: it was cut short"):
        load_state(file, module)


def test_a_state_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no state"):
        load_state(tmp_path / "none.safetensors", online())


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder; give a file in it, such as"):
        load_state(tmp_path, online())


def test_a_file_without_a_spec_is_no_state(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="holds no state of nestgraph"):
        load_state(tmp_path / "x.safetensors", online())


def test_an_unfinished_write_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, file = online(), tmp_path / "mem.safetensors"
    save_state(file, module, read(module, torch.randint(256, (1, 9))))
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        save_state(file, module, read(module, torch.randint(256, (1, 30))))

    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def kept(folder: Path) -> tuple[NestModule, Path]:
    """Return a model and the file of a state of it."""
    module = online()
    state = module(torch.randint(256, (1, 9))).state
    save_state(folder / "mem.safetensors", module, state)
    return module, folder / "mem.safetensors"


def rewritten(path: Path, **changes: str | None) -> None:
    """Write the file with another header."""
    header, tensors = load_safetensors(path)
    header = {name: text for name, text in {**header, **changes}.items() if text is not None}
    path.write_bytes(save(tensors, metadata=header))


def test_a_bit_that_was_flipped_is_told_with_its_tensor(tmp_path: Path) -> None:
    module, path = kept(tmp_path)
    name, tensor = next((n, x) for n, x in load_safetensors(path)[1].items() if x.numel() > 4)
    content = bytearray(path.read_bytes())
    content[content.index(tensor.numpy().tobytes()) + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_state(path, module)
    assert f"NG715 `{path}` is damaged: `{name}` is not what was written" in str(caught.value)


def test_a_header_that_was_changed_is_told(tmp_path: Path) -> None:
    module, path = kept(tmp_path)
    rewritten(path, rows="2")
    with pytest.raises(InputError, match=r"NG715 .* damaged: its header is not what was written"):
        load_state(path, module)
    module, path = kept(tmp_path)
    rewritten(path, checksums=None)
    with pytest.raises(InputError, match=r"NG715 .* damaged: its checksums are missing"):
        load_state(path, module)


def test_a_state_of_the_first_format_opens_with_a_note(tmp_path: Path) -> None:
    module, path = kept(tmp_path)
    wanted = dict(named_tensors(load_state(path, module)))
    rewritten(path, checksums=None, format="nestgraph-state-1")
    with pytest.warns(InputWarning, match=r"NG718 `.*mem\.safetensors` has no checksums"):
        opened = load_state(path, module)
    assert all(torch.equal(wanted[name], x) for name, x in named_tensors(opened))


@pytest.mark.parametrize("name", ["hope-online", "transformer-tiny"])
def test_a_state_from_before_targets_and_masks_were_kept_goes_on(name: str) -> None:
    """Its labels were the next tokens, and all of its positions were written."""
    module = online() if name == "hope-online" else compile(load(name, {"vars.depth": 1}))
    named = dict(named_tensors(read(module, torch.randint(256, (2, 11)))))
    blank = dict(named_tensors(module.initial_state(2)))
    since = {key for key, x in named.items() if x.dtype == torch.bool or "labels" in key}
    older = {key: x for key, x in named.items() if key not in since}
    whole = completed(older, blank)
    assert set(older) < set(whole)
    assert all(torch.equal(named[key], whole[key]) for key in named)
