"""The text of a run: found from any folder, told from another, named anew."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from nestgraph.errors import InputError, InputWarning, SpecError
from nestgraph.language.spec import Spec, load
from nestgraph.runtime.checksums import SUMS
from nestgraph.training import folder as folders
from nestgraph.training.fit import Run, fit
from nestgraph.training.stream import stream
from nestgraph.training.texts import ENTRY, text_of_run

TEXT = b"It is a truth universally acknowledged, that a single man in possession. " * 30
OTHER = TEXT[::-1]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a text, a folder of texts, and no pictures."""
    monkeypatch.setattr(folders, "draw_levels", lambda *_: "levels.svg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_bytes(TEXT)
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt"):
        (tmp_path / "texts" / name).write_bytes(TEXT)
    return tmp_path


def train(spec: Spec | None, out: str | None = None, **wishes: Any) -> Run:
    console = Console(file=io.StringIO())
    return fit(spec, Path(out) if out else None, console=console, **wishes)


def resume(run: str | Path, steps: int, **wishes: Any) -> Run:
    return train(None, resume=Path(run), max_steps=steps, **wishes)


def remembered(run: str | Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(Path(run, "last.ckpt"), weights_only=True)[ENTRY]
    return content


@pytest.fixture
def begun(spec: Spec) -> Path:
    """Return a run of two steps."""
    return train(spec, "run", data="text.txt", max_steps=2).folder.resolve()


def test_a_run_finds_its_text_from_any_folder(
    begun: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "text.txt").write_bytes(OTHER)  # the same name, and no matter
    monkeypatch.chdir(here / "elsewhere")

    assert resume(begun, 3).step == 3

    assert remembered(begun)["path"] == str(here / "text.txt")
    assert load(begun / "resolved.yaml").system.training.data == str(here / "text.txt")


def test_a_text_that_has_changed_is_told_and_one_of_another_length_is_refused(begun: Path) -> None:
    Path("text.txt").write_bytes(OTHER)
    with pytest.warns(InputWarning, match=r"NG707 .*text.txt` is not the text .* has other bytes"):
        resume(begun, 3)
    resume(begun, 4)  # once told, it is the run's

    for longer in (OTHER + b"!", OTHER[:-200]):
        Path("text.txt").write_bytes(longer)
        with pytest.raises(InputError, match=r"NG707 .* had 2,190 bytes, and has .* batches"):
            resume(begun, 5)
    assert remembered(begun)["size"] == len(OTHER)


def test_a_text_that_is_gone_can_be_named_anew(begun: Path, here: Path) -> None:
    (here / "text.txt").rename(here / "moved.txt")

    with pytest.raises(InputError, match=r"NG706 .*text.txt`, isn't there any more; .* --data"):
        resume(begun, 3)
    resume(begun, 3, data="moved.txt")
    resume(begun, 4)

    assert remembered(begun)["path"] == str(here / "moved.txt")


def test_another_text_that_is_named_is_taken_and_told(begun: Path, spec_file: Path) -> None:
    Path("longer.txt").write_bytes(OTHER + TEXT)
    with pytest.warns(InputWarning, match=r"NG707 `longer.txt` is not the text"):
        resume(begun, 3, data="longer.txt")
    other = load(spec_file, set={"training.data": "text.txt", "training.steps": 4})
    with pytest.warns(InputWarning, match=r"NG707 `text.txt` is not the text"):
        train(other, resume=begun)


def test_the_files_of_a_folder_are_known_one_by_one(spec: Spec) -> None:
    train(spec, "run", data="texts", max_steps=2)
    assert set(remembered("run")["files"]) == {"a.txt", "deep/b.txt"}

    Path("texts/deep/b.txt").write_bytes(OTHER)
    with pytest.warns(InputWarning, match=r"`deep/b.txt` has other bytes"):
        resume("run", 3)
    Path("texts/c.txt").write_bytes(TEXT)
    with pytest.raises(InputError, match=r"`c.txt` is new, so its batches would be others"):
        resume("run", 4)
    Path("texts/c.txt").unlink()
    Path("texts/a.txt").unlink()
    with pytest.raises(InputError, match=r"`a.txt` is gone"):
        resume("run", 4)


def test_a_text_that_a_spec_names_is_seen_from_its_file(
    spec_file: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "specs").mkdir()
    said = spec_file.read_text().replace("lr: 0.01,", "lr: 0.01, data: ../text.txt,")
    (here / "specs" / "base.yaml").write_text(said)
    (here / "child.yaml").write_text("nestgraph: 1\nname: child\nextends: specs/base.yaml\n")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")

    train(load("../child.yaml"), "run", max_steps=1)
    assert remembered("run")["path"] == str(here / "text.txt")
    again = load("run/resolved.yaml", set={"training.steps": 1})
    assert train(again, "again").step == 1
    wished = load("../child.yaml", set={"training.data": "mine.txt"})
    with pytest.raises(InputError, match=r"NG701 `mine.txt` is neither"):
        train(wished, "third", max_steps=1)


def test_a_spec_whose_file_names_another_text_by_now_is_another_spec(
    begun: Path, spec_file: Path
) -> None:
    assert train(load(spec_file), resume=begun, max_steps=3).step == 3
    said = spec_file.read_text().replace("lr: 0.01,", "lr: 0.01, data: text.txt,")
    spec_file.write_text(said)
    with pytest.raises(SpecError, match="is not what the run was started with"):
        train(load(spec_file), resume=begun, max_steps=4)


def test_a_run_that_remembers_no_text_still_goes_on(begun: Path, here: Path) -> None:
    content = torch.load(begun / "last.ckpt", weights_only=True)
    del content[ENTRY]
    content["nestgraph"]["format"] = 1
    content["nestgraph"].pop(SUMS)
    content["nestgraph"]["overrides"] = '{"training.data": "\\"text.txt\\"", "training.steps": 2}'
    torch.save(content, begun / "last.ckpt")

    with pytest.warns(InputWarning, match="NG718"):
        assert resume(begun, 3).step == 3
    assert remembered(begun)["path"] == str(here / "text.txt")


def test_a_shipped_text_is_remembered_by_its_name(spec: Spec) -> None:
    train(spec, "run", max_steps=1)
    assert remembered("run")["path"] == "shakespeare"
    assert resume("run", 2).step == 2


def test_a_stream_goes_on_with_its_own_text_only(spec: Spec, here: Path) -> None:
    console = Console(file=io.StringIO())
    stream(spec, Path("run"), data="text.txt", max_steps=1, console=console)
    shutil.copy("text.txt", "copy.txt")
    Path("text.txt").write_bytes(OTHER)

    for wish in ({}, {"data": "text.txt"}):
        with pytest.raises(InputError, match=r"NG707 .*text.txt` is not the text that the run"):
            stream(None, resume=Path("run"), max_steps=2, console=console, **wish)
    moved = stream(None, resume=Path("run"), data="copy.txt", max_steps=2, console=console)

    assert moved.step == 2
    assert remembered("run")["path"] == str(here / "copy.txt")


def test_a_text_that_is_set_as_part_of_a_section_is_seen_from_the_working_folder(
    spec: Spec, here: Path
) -> None:
    wished = Spec.from_sources(
        spec.sources, spec.path, {"training": {"data": "texts/a.txt"}}, spec.shipped
    )
    assert text_of_run(wished, None, anew=False)[1].path == str(here / "texts" / "a.txt")
