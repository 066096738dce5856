"""Event files: pictures, every number of metrics.csv, and the same again when a run goes on."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec
from nestgraph.training import board
from nestgraph.training.fit import fit
from nestgraph.training.stream import stream

needs_tensorboard = pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="`nestgraph[tensorboard]` is not installed"
)
TEXT = b"It is a truth universally acknowledged, that a single man in possession. " * 30


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_bytes(TEXT)
    return tmp_path


def quiet() -> Console:
    return Console(file=io.StringIO())


def events(run: str) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(Path(run, "tensorboard")), size_guidance={"scalars": 0})
    read.Reload()
    return read


def columns(run: str) -> dict[str, list[tuple[int, float]]]:
    """Return (step, number) of each column of metrics.csv that has numbers."""
    with Path(run, "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {
        name: [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        for name in rows[0]
        if name != "step"
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def scalars(run: str) -> dict[str, list[tuple[int, float]]]:
    read = events(run)
    return {
        name: [(event.step, event.value) for event in read.Scalars(name)]
        for name in read.Tags()["scalars"]
    }


def assert_same(run: str) -> None:
    told, kept = scalars(run), columns(run)
    assert set(told) == set(kept)
    for name, numbers in kept.items():
        assert [step for step, _ in told[name]] == [step for step, _ in numbers], name
        values = [value for _, value in told[name]]
        assert values == pytest.approx([value for _, value in numbers], rel=1e-6), name  # float32


@needs_tensorboard
def test_every_number_of_a_run_is_a_scalar(spec: Spec) -> None:
    fit(spec, Path("run"), data="text.txt", tensorboard=True, console=quiet())
    assert {"train_loss", "val_loss", "updates/slow", "update_norm/fast"} <= set(scalars("run"))
    assert_same("run")


@needs_tensorboard
def test_the_pictures_of_the_spec_are_in_it(spec: Spec) -> None:
    fit(spec, Path("run"), data="text.txt", max_steps=1, tensorboard=True, console=quiet())
    read = events("run")
    assert read.Tags()["images"] == list(board.VIEWS)
    for view in board.VIEWS:
        (image,) = read.Images(view)
        assert image.encoded_image_string.startswith(b"\x89PNG")
        assert image.width > 300
        assert image.height > 100
    assert "spec/text_summary" in read.Tags()["tensors"]


@needs_tensorboard
def test_a_resumed_run_goes_on_without_being_asked_and_hides_lost_steps(spec: Spec) -> None:
    fit(spec, Path("run"), data="text.txt", max_steps=7, tensorboard=True, console=quiet())
    lost = board.Board(Path("run"), spec, after=7)
    lost.write({"step": 8, "train_loss": 99.0})  # a step that no checkpoint holds
    lost.close()
    fit(None, resume=Path("run"), max_steps=12, console=quiet())
    assert_same("run")
    assert len(events("run").Images("levels")) == 1


@needs_tensorboard
def test_a_stream_has_event_files_too(spec: Spec) -> None:
    stream(spec, Path("run"), data="text.txt", max_steps=3, tensorboard=True, console=quiet())
    assert "online_bits_per_byte" in scalars("run")
    assert_same("run")


def test_a_run_has_none_unless_asked(spec: Spec) -> None:
    fit(spec, Path("run"), data="text.txt", max_steps=1, console=quiet())
    assert not Path("run", "tensorboard").exists()


def test_without_tensorboard_it_is_refused_before_anything_is_made(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"NG809.*pip install 'nestgraph\[tensorboard\]'"):
        fit(spec, Path("run"), data="text.txt", tensorboard=True, console=quiet())
    assert not Path("run").exists()
