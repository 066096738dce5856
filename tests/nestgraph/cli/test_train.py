"""`nestgraph train` and `nestgraph generate`: one run, and what can go wrong with it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from nestgraph.cli.commands import app
from nestgraph.cli.generate import as_text
from nestgraph.training import load_run
from nestgraph.training.lock import sole_writer

ROOT = Path(__file__).parents[3]
SMALL = ("--set", "training.context=16", "--set", "training.batch=2", "--set", "training.warmup=1")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Return a text of its own."""
    path = tmp_path / "text.txt"
    path.write_text("".join(random.Random(0).choices("abcdef \n", k=2000)))
    return path


def trained(run, write, text: Path, steps: int = 2):
    return run("train", write(), *SMALL, "--data", text, "--max-steps", steps, "--out", "run")


def test_a_run_ends_with_its_loss_a_sample_and_its_picture(run, write, text) -> None:
    result = trained(run, write, text)
    assert result.exit_code == 0, result.output
    assert "validation loss" in result.stdout
    assert "it writes" in result.stdout
    assert "levels.svg" in result.stdout
    assert Path("run/levels.svg").is_file()


def test_a_run_writes_on_from_a_prompt(run, write, text) -> None:
    trained(run, write, text)
    first, again = (run("generate", "run", "abc", "--tokens", 8, "--seed", 1) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("abc")
    assert first.stdout == again.stdout
    assert (
        run("generate", "run/last.ckpt", "abc", "--tokens", 8, "--seed", 1).stdout == first.stdout
    )


def test_a_run_goes_on_without_its_spec(run, write, text) -> None:
    trained(run, write, text)
    Path("small.yaml").unlink()
    result = run("train", "--resume", "run", "--max-steps", 3)
    assert result.exit_code == 0, result.output
    assert "3" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing to train"),
        (("--set", "vars.width=8"), "none was named"),
        (("hope-tiny", "--devices", "2"), "not supported yet"),
        (("hope-tiny", "--precision", "bf16-mixed"), "not supported yet"),
        (("hope-tiny", "--strategy", "ddp"), "not supported yet"),
        (("hope-tiny", "--data", "nowhere.txt"), "nowhere.txt"),
        (("hope-tiny", "--set", "training.lr=fast"), "fast"),
        (("nowhere.yaml",), "nowhere.yaml"),
        (("--resume", "nowhere"), "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_trained_is_a_sentence_with_status_2(run, options, said) -> None:
    result = run("train", *options)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert not Path("runs").exists()


def test_a_run_is_never_overwritten(run, write, text) -> None:
    trained(run, write, text)
    before = Path("run/last.ckpt").read_bytes()
    assert trained(run, write, text).exit_code == 2
    assert Path("run/last.ckpt").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a checkpoint", b"\x80\x02}q\x00."])
def test_a_foreign_checkpoint_is_refused(run, tmp_path, content) -> None:
    (tmp_path / "foreign.ckpt").write_bytes(content)
    result = run("generate", "foreign.ckpt", "abc")
    assert result.exit_code == 2, result.output
    assert "foreign.ckpt" in result.stderr


def test_a_cut_checkpoint_is_refused(run, write, text, tmp_path) -> None:
    trained(run, write, text)
    whole = Path("run/last.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    result = run("generate", "cut.ckpt", "abc")
    assert result.exit_code == 2, result.output
    assert "cut.ckpt" in result.stderr


def test_an_interrupted_run_says_how_to_go_on_and_ends_with_130(write, text, tmp_path) -> None:
    command = [
        sys.executable,
        "-c",
        "from nestgraph.cli import main; main()",
        "train",
        str(write()),
    ]
    options = [*SMALL, "--data", str(text), "--max-steps", "100000", "--out", "run"]
    process = subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "small" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "stopped at step" in stdout or "Interrupted" in stderr
    assert "Traceback" not in stderr


def test_bytes_come_out_as_whole_characters() -> None:
    pieces = list(as_text("aé\x1b€".encode()))
    assert "".join(pieces) == "aé\N{REPLACEMENT CHARACTER}€"
    assert pieces[0] == "a"
    assert "".join(as_text(b"a\xe2\x82")) == "a\N{REPLACEMENT CHARACTER}"


def test_the_prompt_must_hold_something(run, write, text) -> None:
    trained(run, write, text)
    result = CliRunner().invoke(app, ["generate", "run", ""])
    assert result.exit_code == 2
    assert "prompt is empty" in result.stderr


def test_tokens_that_are_no_byte_show_as_signs(run, write, text) -> None:
    spec = write("vocab: 256", "vocab: 300")
    result = run("train", spec, *SMALL, "--data", text, "--max-steps", 2, "--out", "run")
    assert result.exit_code == 0, result.output
    for seed in range(3):
        options = ("--tokens", 60, "--temperature", 5, "--seed", seed)
        result = run("generate", "run", "a", *options)
        assert result.exit_code == 0, result.output
        assert "\N{REPLACEMENT CHARACTER}" in result.stdout
    assert "".join(as_text([97, 256, 299, 98])) == "a" + "\N{REPLACEMENT CHARACTER}" * 2 + "b"


def test_a_prompt_is_its_bytes_whether_they_are_text_or_not(run, write, text) -> None:
    trained(run, write, text)
    for given in (b"\xff", b"caf\xc3", b"caf\xc3\xa9"):
        result = run("generate", "run", os.fsdecode(given), "--tokens", 4, "--temperature", 0)
        assert result.exit_code == 0, result.output
        module = load_run("run")
        tokens = torch.tensor(list(given))
        added = module.generate(tokens, 4, temperature=0)[0].tolist()
        assert result.stdout == "".join(as_text([*given, *added])) + "\n"


def test_a_seed_out_of_range_is_a_sentence(run, write, text) -> None:
    trained(run, write, text)
    for seed in (2**63, 2**64, -1):
        result = run("generate", "run", "a", "--seed", seed, "--tokens", 2)
        assert result.exit_code == 2, result.output
        assert "--seed" in result.stderr
        assert "equal to" in result.stderr
    top = run("generate", "run", "a", "--seed", 2**63 - 1, "--tokens", 2)
    assert top.exit_code == 0, top.output


def test_a_run_folder_that_was_changed_is_neither_gone_on_with_nor_reported(
    run, write, text
) -> None:
    trained(run, write, text)
    spec = Path("run/spec.yaml")
    spec.write_text(spec.read_text().replace("rate: 0.5", "rate: 0.6"))
    for command in (("train", "--resume", "run", "--max-steps", 3), ("report", "run")):
        result = run(*command)
        assert result.exit_code == 2, result.output
        assert "NG715 `run/spec.yaml` is not as the run wrote it" in result.stderr

    Path("run/SHA256SUMS").unlink()
    result = run("train", "--resume", "run", "--max-steps", 3)
    assert result.exit_code == 0, result.output
    assert "note: NG718 `run` has no SHA256SUMS" in result.stderr
    assert "note" not in run("train", "--resume", "run", "--max-steps", 4).stderr


def test_of_two_that_let_one_state_learn_the_second_is_refused(run, write, text) -> None:
    trained(run, write, text)
    learn = ("generate", "run", "abc", "--tokens", 3, "--learn", "--state", "mem.safetensors")
    assert run(*learn).exit_code == 0
    before = Path("mem.safetensors").read_bytes()

    with sole_writer(Path("mem.safetensors")):
        second = run(*learn)
        reader = run(*learn[:5], "--state", "mem.safetensors")

    assert (second.exit_code, reader.exit_code) == (2, 0)
    assert second.stderr.startswith("NG724 `mem.safetensors` is written to by process")
    assert Path("mem.safetensors").read_bytes() == before
    assert run(*learn).exit_code == 0
    assert not list(Path().glob("*.lock"))


def test_a_folder_without_a_checkpoint_says_what_it_is(run, write, text) -> None:
    trained(run, write, text)
    Path("run/last.ckpt").unlink()
    assert "give `run/best.ckpt`" in run("train", "--resume", "run").stderr
    for name in ("best.ckpt", "metrics.csv", "times.csv"):
        Path("run", name).unlink()
    said = run("train", "--resume", "run").stderr
    assert "NG711 `run` holds no last.ckpt; its training has saved nothing yet" in said
    assert "begin it once more by `nestgraph train S --out run`" in said
    assert trained(run, write, text).exit_code == 0
    Path("empty").mkdir()
    assert "it is not a run folder" in run("train", "--resume", "empty").stderr
