"""Runs: what they leave and say, and that stopping them changes no number."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch.nn import functional as F

from nestgraph.errors import InputError, SpecError
from nestgraph.language.spec import Spec, load
from nestgraph.training import NestModule, compile, load_run, throughput
from nestgraph.training import folder as folders
from nestgraph.training.callbacks import CheckpointCallback
from nestgraph.training.fit import Run, fit
from nestgraph.training.options import with_settings

TEXT = b"It is a truth universally acknowledged, that a single man in possession. " * 30


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let runs land in a folder of the test's own, beside a text to train on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_bytes(TEXT)
    return tmp_path


@pytest.fixture
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the picture out where it doesn't matter."""
    monkeypatch.setattr(folders, "draw_levels", lambda *_: "levels.svg")


def train(spec: Spec | None, out: str | None = None, **wishes: Any) -> tuple[Run, str]:
    """Return a run and what it printed."""
    console = Console(file=io.StringIO(), width=200)
    wishes = {"data": None if "resume" in wishes else "text.txt", **wishes}
    run = fit(spec, Path(out) if out else None, console=console, **wishes)
    return run, console.file.getvalue()  # type: ignore[attr-defined]


def rows(folder: str | Path) -> list[dict[str, str]]:
    with Path(folder, "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def do_at(step: int, deed: Callable[[], None]) -> Any:
    """Return a hook that does something after a step."""
    original = CheckpointCallback.on_train_batch_end

    def hook(self: CheckpointCallback, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == step:
            deed()
        original(self, trainer, *rest)

    return hook


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def assert_same_weights(a: NestModule, b: NestModule) -> None:
    for (name, left), right in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(left, right), name


def test_a_run_leaves_everything_in_its_folder(spec: Spec, spec_file: Path) -> None:
    run, said = train(spec)

    assert run.folder == Path("runs/small-1")
    assert {path.name for path in run.folder.iterdir()} == {
        "spec.yaml",
        "base-1-adamw.yaml",
        "resolved.yaml",
        "levels.svg",
        "overrides.json",
        "SHA256SUMS",
        "metrics.csv",
        "times.csv",
        "environment.json",
        "last.ckpt",
        "best.ckpt",
    }
    assert (run.folder / "spec.yaml").read_bytes() == spec_file.read_bytes()
    said_text = load(run.folder / "resolved.yaml").system.training.data
    assert said_text == str(Path("text.txt").resolve())
    assert_same_weights(load_run(run.folder), run.module)
    assert (run.step, run.interrupted) == (12, False)
    assert "runs/small-1/levels.svg" in said
    assert 'nestgraph generate runs/small-1 "' in said


@pytest.mark.usefixtures("quick_picture")
def test_the_metrics_hold_every_step_and_every_validation(spec: Spec) -> None:
    train(spec, "run")

    table = rows("run")
    assert [int(row["step"]) for row in table] == list(range(1, 13))
    assert [int(row["step"]) for row in table if row["val_loss"]] == [5, 10, 12]
    assert [int(row["updates/slow"]) for row in table] == [n // 5 for n in range(1, 13)]
    assert all(float(row["train_loss"]) > 0 and float(row["lr/fast"]) > 0 for row in table)
    bits = float(table[-1]["val_loss"]) / math.log(2)
    assert float(table[-1]["val_bits_per_byte"]) == pytest.approx(bits)


@pytest.mark.usefixtures("quick_picture")
def test_it_says_the_mean_loss_over_the_whole_validation_text(spec: Spec) -> None:
    run, said = train(spec)

    text = TEXT[int(len(TEXT) * 0.9) :]
    total = 0.0
    for start in range(0, len(text) - 1, 8):
        window = torch.tensor(list(text[start : start + 9]))[None]
        logits = run.module(window[:, :-1]).logits[0]
        total += F.cross_entropy(logits, window[0, 1:], reduction="sum").item()
    mean = total / (len(text) - 1)
    assert run.val_loss == pytest.approx(mean, rel=1e-6)
    assert f"validation loss {mean:.4f} nats = {mean / math.log(2):.4f} bits per byte" in said


@pytest.mark.usefixtures("quick_picture")
def test_it_is_quiet(spec: Spec, capfd: pytest.CaptureFixture[str]) -> None:
    _, said = train(spec)

    assert "Epoch" not in said
    assert len([line for line in said.splitlines() if line.startswith("step ")]) == 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("quick_picture")
@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_says_where_a_silent_training_is_and_a_terminal_has_its_bar_for_that(
    spec: Spec, monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    monkeypatch.setattr(throughput, "SILENCE", 0.0)
    said = io.StringIO()
    fit(spec, Path("run"), data="text.txt", console=Console(file=said, force_terminal=terminal))

    paced = re.compile(r"step +(\d+)/12  training (\S+)  \d+ tokens/s  \d+\.\d s left")
    lines = [m for m in map(paced.fullmatch, said.getvalue().splitlines()) if m]
    told = [(int(step), loss) for step, loss in (line.groups() for line in lines)]
    table = [(int(row["step"]), f"{float(row['train_loss']):.4f}") for row in rows("run")]
    assert told == ([] if terminal else table)


@pytest.mark.usefixtures("quick_picture")
@pytest.mark.parametrize("stop", [4, 5, 7, 11])
def test_ctrl_c_saves_and_the_resumed_run_meets_the_same_numbers(
    spec: Spec, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, _ = train(spec, "unbroken")
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointCallback, "on_train_batch_end", do_at(stop, press_ctrl_c))
        broken, said = train(spec, "broken")

    assert (broken.interrupted, broken.step, broken.val_loss) == (True, stop, None)
    assert f"stopped at step {stop} of 12; everything is saved" in said
    assert "nestgraph train --resume broken" in said
    assert len(rows("broken")) == stop
    resumed, _ = train(None, resume=Path("broken"))

    assert Path("broken/metrics.csv").read_bytes() == Path("unbroken/metrics.csv").read_bytes()
    assert_same_weights(resumed.module, unbroken.module)
    assert resumed.folder == Path("broken")


@pytest.mark.usefixtures("quick_picture")
def test_a_killed_process_goes_on_from_its_last_checkpoint(spec: Spec, spec_file: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from nestgraph.language.spec import load
from nestgraph.training import folder
from nestgraph.training.callbacks import CheckpointCallback
from nestgraph.training.fit import fit

def die_at_8(self, trainer, *rest, original=CheckpointCallback.on_train_batch_end):
    if trainer.global_step == 8:
        os.kill(os.getpid(), 9)
    original(self, trainer, *rest)

CheckpointCallback.on_train_batch_end = die_at_8
folder.draw_levels = lambda *_: ""
fit(load(sys.argv[1]), Path("broken"), data="text.txt")
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(spec_file)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert [int(row["step"]) for row in rows("broken")] == [1, 2, 3, 4, 5, 6, 7]
    unbroken, _ = train(spec, "unbroken")

    resumed, _ = train(None, resume=Path("broken/last.ckpt"))

    assert rows("broken") == rows("unbroken")
    assert_same_weights(resumed.module, unbroken.module)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_picture")
def test_hope_goes_on_in_the_middle_of_all_its_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    hope = load("hope-tiny", set={"training.steps": 20})
    unbroken, _ = train(hope, "unbroken")
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointCallback, "on_train_batch_end", do_at(13, press_ctrl_c))
        train(hope, "broken")

    resumed, _ = train(None, resume=Path("broken"))

    assert rows("broken") == rows("unbroken")
    assert_same_weights(resumed.module, unbroken.module)


@pytest.mark.usefixtures("quick_picture")
def test_a_second_ctrl_c_stops_at_once(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    def press_twice() -> None:
        press_ctrl_c()
        press_ctrl_c()

    monkeypatch.setattr(CheckpointCallback, "on_train_batch_end", do_at(8, press_twice))

    run, said = train(spec, "run")

    assert run.interrupted
    assert "stopped at step 8 of 12; saved is what run/last.ckpt holds" in said
    assert torch.load("run/last.ckpt", weights_only=True)["global_step"] == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("quick_picture")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_every_signal_that_ends_a_job_saves_first(
    spec: Spec, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    deed = do_at(3, lambda: os.kill(os.getpid(), number))
    monkeypatch.setattr(CheckpointCallback, "on_train_batch_end", deed)

    run, said = train(spec, "run")

    assert run.interrupted
    assert "stopped at step 3 of 12; everything is saved" in said
    assert torch.load("run/last.ckpt", weights_only=True)["global_step"] == 3


@pytest.mark.usefixtures("quick_picture")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("step", "stops"), [(5, True), (12, False)])
def test_a_signal_inside_a_validation_lets_it_end_and_be_saved(
    spec: Spec,
    number: signal.Signals,
    step: int,
    stops: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = NestModule.validation_step

    def send(self: NestModule, batch: Any, index: int) -> None:
        original(self, batch, index)
        if self.trainer.global_step == step and index == 0:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(NestModule, "validation_step", send)

    run, said = train(spec, "run")

    assert (run.interrupted, run.step) == (stops, step)
    assert ("everything is saved" in said) == stops
    assert torch.load("run/last.ckpt", weights_only=True)["global_step"] == step


@pytest.mark.usefixtures("quick_picture")
def test_a_hangup_that_comes_twice_still_saves_and_an_ignored_one_is_ignored(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up_twice() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(CheckpointCallback, "on_train_batch_end", do_at(3, hang_up_twice))

    _, said = train(spec, "run")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        nohup, _ = train(spec, "nohup")
    finally:
        signal.signal(signal.SIGHUP, before)

    assert "everything is saved" in said
    assert (nohup.interrupted, nohup.step) == (False, 12)


@pytest.mark.usefixtures("quick_picture")
def test_a_run_that_was_stopped_before_its_first_validation_goes_on_from_its_start(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_twice() -> None:
        press_ctrl_c()
        press_ctrl_c()

    unbroken, _ = train(spec, "unbroken")
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointCallback, "on_train_batch_end", do_at(3, press_twice))
        train(spec, "broken")
    assert torch.load("broken/last.ckpt", weights_only=True)["global_step"] == 0

    resumed, _ = train(None, resume=Path("broken"))

    assert rows("broken") == rows("unbroken")
    assert_same_weights(resumed.module, unbroken.module)


@pytest.mark.usefixtures("quick_picture")
def test_a_run_that_is_being_written_can_be_read_and_not_written(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def meddle() -> None:
        for options in ({"resume": Path("run")}, {"resume": Path("run/best.ckpt")}, {"out": "run"}):
            with pytest.raises(InputError) as caught:
                train(spec, **options)  # type: ignore[arg-type]
            refused.append(str(caught.value))
        load_run("run")

    monkeypatch.setattr(CheckpointCallback, "on_train_batch_end", do_at(7, meddle))
    train(spec, "run")

    assert len(refused) == 3
    assert all(
        one.startswith(f"NG724 `run` is written to by process {os.getpid()}") for one in refused
    )
    assert not Path("run/lock").exists()
    train(spec, "unbroken")
    assert rows("run") == rows("unbroken")


@pytest.mark.usefixtures("quick_picture")
def test_a_finished_run_can_be_given_more_steps(spec: Spec) -> None:
    train(spec, "run")

    with pytest.raises(InputError, match="has all its 12 steps of 12; give a larger --max-steps"):
        train(None, resume=Path("run"))
    longer, _ = train(None, resume=Path("run"), max_steps=14)

    assert [int(row["step"]) for row in rows("run")] == list(range(1, 15))
    assert (longer.step, longer.module.spec.system.training.steps) == (14, 14)
    assert load_run("run").spec.system.training.steps == 14


@pytest.mark.usefixtures("quick_picture")
def test_a_run_is_resumed_with_its_own_spec_only(spec: Spec, spec_file: Path) -> None:
    train(spec, "run", max_steps=3)

    other = load(spec_file, set={"vars.width": 32})
    with pytest.raises(InputError, match="is not what the run was started with"):
        train(other, resume=Path("run"), max_steps=6)
    faster = load(spec_file, set={"training.lr": 0.5, "training.warmup": 0})
    train(faster, resume=Path("run"), max_steps=4)

    assert float(rows("run")[-1]["lr/step"]) > 0.05
    with pytest.raises(InputError, match="goes on in its folder, not in `elsewhere`"):
        train(None, "elsewhere", resume=Path("run"), max_steps=6)


@pytest.mark.usefixtures("quick_picture")
def test_a_checkpoint_that_was_carried_elsewhere_starts_a_folder_of_its_own(
    spec: Spec, here: Path
) -> None:
    train(spec, "run", max_steps=3)
    before = Path("run/metrics.csv").read_bytes()
    (here / "moved").mkdir()
    Path("run/last.ckpt").rename("moved/x.ckpt")

    run, _ = train(None, resume=Path("moved/x.ckpt"), max_steps=5)

    assert run.folder == Path("runs/small-1")
    assert [int(row["step"]) for row in rows(run.folder)] == [4, 5]
    assert Path("run/metrics.csv").read_bytes() == before


def test_a_checkpoint_of_another_trainer_doesnt_say_where_to_go_on(spec: Spec) -> None:
    module = compile(spec)
    content: dict[str, Any] = {"state_dict": module.state_dict(), "global_step": 3}
    module.on_save_checkpoint(content)
    torch.save(content, "x.ckpt")

    with pytest.raises(InputError, match="was not written by `nestgraph train`"):
        train(None, resume=Path("x.ckpt"))


@pytest.mark.usefixtures("quick_picture")
def test_nothing_is_overwritten(spec: Spec, here: Path) -> None:
    (here / "used").mkdir()
    (here / "used" / "thesis.txt").write_text("precious")

    with pytest.raises(InputError, match="`used` is not empty, and a run overwrites nothing"):
        train(spec, "used", max_steps=1)
    folders_made = [train(spec, max_steps=1)[0].folder for _ in range(2)]

    assert [path.name for path in (here / "used").iterdir()] == ["thesis.txt"]
    assert folders_made == [Path("runs/small-1"), Path("runs/small-2")]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"devices": "2"}, "training with devices 2 is not supported yet; leave --devices at 1"),
        ({"strategy": "ddp"}, "training with strategy ddp is not supported yet"),
        ({"precision": "bf16-mixed"}, "training with precision bf16-mixed is not supported yet"),
        ({"data": "nowhere.txt"}, "NG701 `nowhere.txt` is neither"),
        ({"data": "empty.txt"}, "NG702 `empty.txt` holds no text"),
        ({"data": "short.txt"}, "NG702 `short.txt` holds 9 bytes"),
        ({"resume": Path("gone")}, "NG711 there is no run `gone`"),
        ({"resume": Path("text.txt")}, "NG712 `text.txt` can't be read as a checkpoint"),
    ],
)
def test_what_cant_be_trained_is_said_before_anything_is_written(
    spec: Spec, here: Path, wishes: dict[str, Any], said: str
) -> None:
    (here / "empty.txt").touch()
    (here / "short.txt").write_bytes(b"123456789")
    before = set(here.iterdir())

    with pytest.raises(InputError) as caught:
        train(spec, **wishes)

    assert said in str(caught.value)
    assert set(here.iterdir()) == before


def test_bytes_beyond_the_vocabulary_are_named(spec_file: Path) -> None:
    spec = load(spec_file, set={"model.embed.vocab": 100})

    with pytest.raises(InputError, match="holds byte 121, but the model knows 100 tokens"):
        train(spec)


def test_there_must_be_something_to_train() -> None:
    with pytest.raises(InputError, match="nothing to train"):
        train(None)


def test_a_step_count_of_zero_is_refused_like_any_wrong_value(spec: Spec) -> None:
    with pytest.raises(SpecError, match=r"--set training\.steps=0"):
        train(spec, max_steps=0)


def spoil(monkeypatch: pytest.MonkeyPatch, bad: Callable[[int], bool]) -> None:
    """Make the loss, and so its gradient, no number at some batches."""
    original = NestModule.training_step

    def step(self: NestModule, batch: Any, batch_idx: int) -> torch.Tensor:
        return original(self, batch, batch_idx) * (math.nan if bad(batch_idx) else 1)

    monkeypatch.setattr(NestModule, "training_step", step)


@pytest.mark.usefixtures("quick_picture")
def test_a_gradient_that_is_no_number_skips_its_step_and_is_counted(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, lambda batch: batch in (3, 6))

    run, _ = train(spec, "run")

    rows = list(csv.DictReader(Path("run/metrics.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["skipped_steps"]) for row in rows][:8] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert [int(row["updates/step"]) for row in rows][:8] == [1, 2, 3, 3, 4, 5, 5, 6]
    assert all(value.isfinite().all() for value in run.module.state_dict().values())
    assert load_run("run").skipped == 0  # of a training, not of a model


@pytest.mark.usefixtures("quick_picture")
def test_too_many_of_them_in_a_row_stop_the_run_and_keep_the_good_state(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, lambda batch: batch in (2, 3) or batch >= 5)

    with pytest.raises(InputError, match=r"NG732 .* for 3 steps in a row, up to step 8; run/last"):
        train(with_settings(spec, {"training.bad_steps": 3}), "run")

    kept = torch.load("run/last.ckpt", weights_only=True)
    assert kept["nestgraph"]["skipped"] == 5
    assert all(value.isfinite().all() for value in kept["state_dict"].values())
    assert load_run("run").spec.system.training.bad_steps == 3


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Let no file grow beyond some bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("quick_picture")
def test_a_disk_that_fills_costs_nothing_that_was_saved(
    spec: Spec, monkeypatch: pytest.MonkeyPatch, full_disk: Callable[[int], None]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointCallback, "on_train_batch_end", do_at(7, press_ctrl_c))
        train(spec, "run")
    names = ("last.ckpt", "best.ckpt")
    before = {name: Path("run", name).read_bytes() for name in names}

    full_disk(5000)
    with pytest.raises(InputError, match=r"NG721 `run/\w+\.ckpt` can't be written: File too large"):
        train(None, resume=Path("run"))
    full_disk(resource.RLIM_INFINITY)

    assert {name: Path("run", name).read_bytes() for name in names} == before
    assert not list(Path("run").glob(".*"))
    assert train(None, resume=Path("run"))[0].step == 12


@pytest.mark.usefixtures("quick_picture")
@pytest.mark.parametrize("most", [0, 200, 1200])
def test_a_disk_that_is_full_from_the_start_is_a_sentence(
    spec: Spec, full_disk: Callable[[int], None], most: int
) -> None:
    full_disk(most)
    with pytest.raises(
        InputError, match=r"NG721 .* can't be written: File too large; raise the limit"
    ):
        train(spec, "run", max_steps=40)
    full_disk(resource.RLIM_INFINITY)
