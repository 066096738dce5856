"""A text read once: exact numbers, exact resumption, and what can't be read."""

from __future__ import annotations

import io
import itertools
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console

from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.errors import InputError
from nestgraph.language.spec import Spec, load
from nestgraph.runtime.checksums import seal
from nestgraph.training import checkpoint, load_run, throughput
from nestgraph.training.stream import StreamRun, stream
from nestgraph.training.stream_batches import StreamBatches

TEXT = bytes(range(97, 123)) * 40  # 1040 letters
SMALL: dict[str, object] = {
    **{"vars.width": 16, "vars.heads": 2, "vars.depth": 1, "vars.fast": 8, "vars.mid": 16},
    **{"vars.slow": 32, "training.batch": 2, "training.context": 50, "training.warmup": 2},
    "training.val_interval": 4,
}


@pytest.fixture
def text(tmp_path: Path) -> str:
    """Return a text on the disk."""
    file = tmp_path / "letters.txt"
    file.write_bytes(TEXT)
    return str(file)


def online(changes: dict[str, object] | None = None) -> Spec:
    return load("hope-online", set={**SMALL, **(changes or {})})


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def read(spec: Spec | None, out: Path | None, **options: object) -> StreamRun:
    return stream(spec, out, console=quiet(), **options)  # type: ignore[arg-type]


def test_pieces_follow_each_other_in_every_row() -> None:
    batches = StreamBatches(b"abcdefghijkl", rows=2, context=2)

    pieces = [tuple(bytes(row.tolist()) for row in part) for part in batches.at(0)]
    last = [tuple(bytes(row.tolist()) for row in part) for part in batches.at(2)]

    assert len(batches) == 3
    assert pieces == [(b"ab", b"gh"), (b"bc", b"hi")]
    assert last == [(b"e", b"k"), (b"f", b"l")]


def test_frozen_it_is_the_loss_of_one_pass(text: str, tmp_path: Path) -> None:
    run = read(online(), tmp_path / "run", data=text, frozen=True)

    rows = torch.tensor(list(TEXT)).view(2, -1)
    fresh = load_run(tmp_path / "run")
    with torch.no_grad():
        logits = fresh(rows[:, :-1]).logits
    nats = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    assert run.tokens == rows[:, 1:].numel()
    assert math.isclose(run.bits_per_byte, nats.item() / math.log(2), rel_tol=1e-4)


def test_a_slope_that_is_no_number_ends_it_before_any_weight_has_moved(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = CompiledModel.loss, itertools.count(1)

    def loss(self: CompiledModel, *given: Any) -> Any:
        nats, state = original(self, *given)
        root = (next(self.parameters()).sum() * 0).sqrt()  # 0, of slope infinity times 0
        return (nats + root if next(calls) == 4 else nats), state

    monkeypatch.setattr(CompiledModel, "loss", loss)

    with pytest.raises(InputError, match="NG731 the gradient became no number at step 4"):
        read(online({"training.val_interval": 1}), tmp_path / "run", data=text)

    kept = load_run(tmp_path / "run")
    assert all(value.isfinite().all() for value in kept.state_dict().values())


def test_every_level_learns_and_is_counted(text: str, tmp_path: Path) -> None:
    spec = online({"training.lr": 0.02})
    run = read(spec, tmp_path / "run", data=text)
    frozen = read(spec, tmp_path / "frozen", data=text, frozen=True)

    assert run.bits_per_byte < frozen.bits_per_byte - 0.5
    header, *rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    last = dict(zip(header.split(","), map(float, rows[-1].split(",")), strict=True))
    assert len(rows) == run.step == 11
    read_by_a_row = len(TEXT) // 2 - 1
    for level, period in {"fast": 8, "mid": 16, "slow": 32}.items():
        assert last[f"updates/{level}"] == (read_by_a_row - 1) // period
        assert last[f"moved/{level}"] > 0
        assert last[f"surprise/{level}"] > last[f"moved/{level}"]  # the rate is 0.01
        assert last[f"norm/{level}"] > 1
    picture = (tmp_path / "run" / "history.svg").read_text()
    assert picture.count('class="bar"') > 3
    assert "slow" in picture


def numbers(folder: Path) -> list[str]:
    return (folder / "metrics.csv").read_text().splitlines()


def test_a_stopped_run_goes_on_with_the_numbers_of_an_unbroken_one(
    text: str, tmp_path: Path
) -> None:
    whole = read(online(), tmp_path / "whole", data=text)
    read(online(), tmp_path / "part", data=text, max_steps=5)
    rest = read(None, None, resume=tmp_path / "part", max_steps=100)

    assert rest.bits_per_byte == whole.bits_per_byte
    cut = rest.module.state_dict()
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(cut[name], tensor), name


def test_a_resumed_run_ends_where_it_was_to_end(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    read(online(), folder, data=text, max_steps=7)
    part = checkpoint.read_checkpoint(folder / "last.ckpt")
    with pytest.raises(InputError, match=r"has read all its 7 pieces; give a larger --max-steps"):
        read(None, None, resume=folder)

    part["stream"]["limit"] = 9
    seal(part)
    torch.save(part, folder / "last.ckpt")
    assert read(None, None, resume=folder).step == 9


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_killed_run_loses_at_most_the_last_interval(
    number: signal.Signals, text: str, tmp_path: Path
) -> None:
    changes = [f"--set={key}={value}" for key, value in SMALL.items()]
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "nestgraph", "train", "hope-online", "--stream"]
    process = subprocess.Popen(
        [*command, "--data", text, "--out", str(folder), *changes],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(6000):
        rows = len(numbers(folder)) if (folder / "metrics.csv").is_file() else 0
        if rows > 5 or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(60)

    kept = checkpoint.read_checkpoint(folder / "last.ckpt")["stream"]["step"]
    assert kept >= 4
    if kept < 11:
        read(None, None, resume=folder)
    read(online(), tmp_path / "whole", data=text)
    assert numbers(folder)[-1].split(",")[:4] == numbers(tmp_path / "whole")[-1].split(",")[:4]


def test_the_weights_of_a_trained_run_go_on_clocks(text: str, tmp_path: Path) -> None:
    """Ad-hoc stacking: `hope` trained on steps, then the same MLPs on tokens."""
    names = ("vars.width", "vars.heads", "vars.depth", "training.batch", "training.context")
    small = {name: SMALL[name] for name in names}
    trained = load("hope", set={**small, "vars.mid": 2, "vars.slow": 4})
    base = read(trained, tmp_path / "hope", data=text)

    still = read(
        online({"vars.rate": 0, "vars.expansion": 4}),
        tmp_path / "still",
        data=text,
        weights=tmp_path / "hope",
        frozen=True,
    )
    frozen = read(trained, tmp_path / "hope2", data=text, weights=tmp_path / "hope", frozen=True)
    moving = read(
        online({"vars.rate": 0.02, "vars.expansion": 4}),
        tmp_path / "moving",
        data=text,
        weights=tmp_path / "hope",
        frozen=True,
    )

    assert base.step == 11
    assert math.isclose(still.bits_per_byte, frozen.bits_per_byte, rel_tol=1e-5)
    assert abs(moving.bits_per_byte - frozen.bits_per_byte) > 1e-3


def test_weights_that_do_not_fit_are_named(text: str, tmp_path: Path) -> None:
    read(online(), tmp_path / "run", data=text, max_steps=1)
    with pytest.raises(InputError, match=r"embed.weight has shape \(256, 16\), not \(256, 32\)"):
        read(online({"vars.width": 32}), tmp_path / "other", data=text, weights=tmp_path / "run")
    assert not (tmp_path / "other").exists()


def test_a_level_longer_than_the_text_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`slow` moves every 4096 tokens, but each of the 2 rows"):
        read(online({"vars.slow": 4096}), tmp_path / "run", data=text)
    assert not (tmp_path / "run").exists()


def test_another_text_can_not_be_gone_on_with(text: str, tmp_path: Path) -> None:
    read(online(), tmp_path / "run", data=text, max_steps=2)
    Path(text).write_bytes(TEXT[::-1])
    with pytest.raises(InputError, match="is not the text"):
        read(None, None, resume=tmp_path / "run")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stream_that_was_silent_says_how_fast_it_is(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    monkeypatch.setattr(throughput, "SILENCE", 0.0)
    said = io.StringIO()
    console = Console(file=said, width=200, force_terminal=terminal)
    stream(online(), tmp_path / "run", data=text, max_steps=6, console=console)

    lines = [line for line in said.getvalue().splitlines() if line.startswith("step ")]
    paced = [
        line.split()[1] for line in lines if re.search(r"byte  \d+ tokens/s  \S+ s left$", line)
    ]
    kept = [line.split()[1] for line in lines if line.endswith("bits per byte")]
    assert paced == ["1/6", "2/6", "3/6", "5/6"]
    assert kept == ["4/6", "6/6"]


@pytest.mark.parametrize("part", ["nats", "state", "a tensor"])
def test_a_stream_that_lacks_a_part_is_not_gone_on_with(
    text: str, tmp_path: Path, part: str
) -> None:
    folder = tmp_path / "run"
    read(online(), folder, data=text, max_steps=2)
    content = checkpoint.read_checkpoint(folder / "last.ckpt")
    held = content["stream"]["state"] if part == "a tensor" else content["stream"]
    name = next(iter(held)) if part == "a tensor" else part
    del held[name]
    seal(content)
    torch.save(content, folder / "last.ckpt")
    with pytest.raises(
        InputError, match=rf"NG713 .* incomplete: its `{re.escape(name)}` is missing"
    ):
        read(None, None, resume=folder, max_steps=5)
