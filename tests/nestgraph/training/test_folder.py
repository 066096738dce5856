"""The folder of a run: the next free name, the spec with its bases, the picture or why not."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec, load
from nestgraph.training import folder
from nestgraph.training.kept_files import keep_spec


def new_folder(name: str, wish: Path | None = None) -> Path:
    with ExitStack() as held:
        return folder.new_folder(name, wish, held)


def test_the_next_free_number_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a-2").mkdir(parents=True)

    made = [new_folder(name) for name in ("a", "a", "b")]

    assert made == [Path("runs/a-1"), Path("runs/a-3"), Path("runs/b-1")]
    assert all(path.is_dir() for path in made)


def test_a_wished_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    wish = tmp_path / "x" / "y"

    assert new_folder("a", wish) == wish
    assert wish.is_dir()


def test_a_place_that_cant_be_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "runs").touch()

    with pytest.raises(InputError, match=r"NG722 `.*file` is a file; a run is kept in a folder"):
        new_folder("a", tmp_path / "file")
    with pytest.raises(InputError, match=r"NG721 `.*file/x` can't .*: Not a directory; one of the"):
        new_folder("a", tmp_path / "file" / "x")
    with pytest.raises(InputError, match=r"NG721 `runs` can't be written: File exists; choose an"):
        new_folder("a")
    (tmp_path / "runs").unlink()
    with pytest.raises(InputError, match=r"NG721 `runs/a+-1` can't be written: .*; choose a short"):
        new_folder("a" * 300)


def test_every_source_of_a_spec_is_kept_even_when_two_have_one_name(
    spec_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    middle = "nestgraph: 1\nname: middle\nextends: ../small.yaml  # below\nvars: {width: 8}\n"
    (tmp_path / "sub" / "small.yaml").write_text(middle)
    top = tmp_path / "top.yaml"
    top.write_text("nestgraph: 1\nname: top\nextends: sub/small.yaml\n")
    spec = load(top)
    place = tmp_path / "run"
    place.mkdir()

    keep_spec(place, spec, begun=False)

    texts = {path.name: path.read_text() for path in place.iterdir()}
    assert texts.pop("resolved.yaml")
    assert texts.pop("overrides.json") == "{}\n"
    assert texts["spec.yaml"] == top.read_text().replace("sub/small", "base-1-small")
    assert texts["base-1-small.yaml"] == middle.replace("../small", "base-2-small")
    assert len(texts) == len(spec.sources)
    assert texts["base-2-small.yaml"] == spec_file.read_text()
    assert folder.is_run(place)
    assert load(place / "resolved.yaml").system.model.width == 8


def test_a_picture_that_cant_be_drawn_is_no_reason_not_to_train(spec: Spec, tmp_path: Path) -> None:
    assert folder.draw_levels(tmp_path, spec) == str(tmp_path / "levels.svg")
    assert (tmp_path / "levels.svg").read_text().startswith(("<?xml", "<svg"))

    assert folder.draw_levels(tmp_path / "gone", spec).startswith("no picture: ")


def begin(place: Path, spec: Spec) -> None:
    """Write what a run writes before its first save."""
    with ExitStack() as held:
        folder.place_of(spec, None, place, held)
    folder.draw_levels(place, spec)
    (place / ".resolved.yaml.123.part").write_text("half")
    (place / "lock").write_text("of a killed process")


def test_a_run_that_saved_nothing_is_begun_once_more(spec: Spec, tmp_path: Path) -> None:
    begin(tmp_path / "run", spec)
    assert folder.saved_nothing(tmp_path / "run")

    assert new_folder("a", tmp_path / "run") == tmp_path / "run"

    assert not list((tmp_path / "run").iterdir())
    assert not folder.saved_nothing(tmp_path / "run")


@pytest.mark.parametrize("more", ["notes.txt", "metrics.csv", "best.ckpt"])
def test_nothing_else_is_taken_away(spec: Spec, tmp_path: Path, more: str) -> None:
    begin(tmp_path / "run", spec)
    (tmp_path / "run" / more).write_text("precious")
    before = {path.name for path in (tmp_path / "run").iterdir()} - {"lock"}

    with pytest.raises(InputError, match=r"NG722 .* is not empty") as caught:
        new_folder("a", tmp_path / "run")

    assert {path.name for path in (tmp_path / "run").iterdir()} == before
    assert ("--resume" in str(caught.value)) == (more == "best.ckpt")
    assert not folder.saved_nothing(tmp_path / "run")


def test_specs_of_ones_own_are_no_run(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        new_folder("a", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]
