"""However a command fails, it ends with a sentence and a status, not with a traceback."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nestgraph.cli.commands import app as application
from nestgraph.cli.failures import PoliteGroup, sentence
from nestgraph.errors import Diagnostic, InputError, Span, SpecError

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-c", "from nestgraph.cli import main; main()"]


def outcome(error: BaseException) -> Result:
    """Return what becomes of a command whose body raises."""
    app = typer.Typer(cls=PoliteGroup)

    @app.callback()
    def root() -> None: ...

    @app.command()
    def fails() -> None:
        raise error

    return CliRunner().invoke(app, ["fails"])


def ending(error: BaseException) -> tuple[int, str]:
    """Return status and stderr of a command whose body raises."""
    result = outcome(error)
    return result.exit_code, result.stderr


def test_a_spec_error_prints_its_findings_with_their_lines() -> None:
    place = Span(file="a.yaml", line=1, column=3)
    error = SpecError(
        [Diagnostic(code="NG201", message="no such flow", span=place)], {"a.yaml": "k: v"}
    )
    status, text = ending(error)
    assert status == 2
    assert text.startswith("a.yaml:1:3: NG201 no such flow\n")
    assert text.rstrip().endswith("^")


def test_an_input_error_prints_one_sentence() -> None:
    assert ending(InputError("NG701", "no text there", "give one")) == (
        2,
        "NG701 no text there; give one\n",
    )


@pytest.mark.parametrize(
    ("number", "cure"),
    [(errno.ENOSPC, "free some space"), (errno.EFBIG, "raise the limit"), (errno.EACCES, "choose")],
)
def test_an_error_of_the_system_names_file_and_cure(number: int, cure: str) -> None:
    status, text = ending(OSError(number, os.strerror(number), "out.svg"))
    assert status == 2
    assert text.startswith(f"`out.svg`: {os.strerror(number)}; ")
    assert cure in text


def test_an_error_of_the_system_without_a_file_still_reads_as_a_sentence() -> None:
    assert sentence(OSError("the tape is full")) == "the tape is full"


def test_an_interruption_is_one_line_and_status_130() -> None:
    assert ending(KeyboardInterrupt()) == (130, "Interrupted.\n")


def test_ctrl_c_stays_one_where_others_code_makes_an_error_of_it() -> None:
    app = typer.Typer(cls=PoliteGroup)

    @app.callback()
    def root() -> None: ...

    @app.command()
    def fails() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("a validator could not be built") from None

    result = CliRunner().invoke(app, ["fails"])
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_reader_that_went_away_is_silent() -> None:
    assert ending(BrokenPipeError()) == (141, "")


def test_a_bug_keeps_its_traceback() -> None:
    bug = KeyError("missing")
    assert outcome(bug).exception is bug


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*COMMAND, "list"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert "free some space" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
def test_a_closed_pipe_under_stdout_is_silent() -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [*COMMAND, "list"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_ends_with_a_plain_line() -> None:
    code = (
        "import sys, time, typer\n"
        "from nestgraph.cli.failures import PoliteGroup\n"
        "app = typer.Typer(cls=PoliteGroup)\n"
        "@app.command()\n"
        "def wait() -> None:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "@app.command()\n"
        "def other() -> None: ...\n"
        "app(['wait'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "Interrupted.\n")


def test_an_unknown_command_gets_a_suggestion_and_status_2() -> None:
    result = subprocess.run(
        [*COMMAND, "chekc"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "check" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "hope-tiny", "--set", "doc=\udcfe"],
        ["check", "\udcfe.yaml"],
        ["show", "hope-tiny", "caf\udcc3"],
        ["export", "hope-tiny", "-o", "\udcff.json"],
        ["new", "\udcff"],
        ["explain", "\udcff"],
        ["compile", "hope-tiny", "--tokens", "\udcff"],
        ["train", "hope-tiny", "--data", "\udcff"],
        ["report", "\udcff"],
        ["generate", "\udcff", "abc"],
        ["generate", "gone", "abc", "--state", "\udcff"],
    ],
)
def test_arguments_that_are_no_utf_8_are_a_sentence(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 2
    assert re.search(r"NG748 the argument `.*\\x[a-f0-9]{2}.*` is not UTF-8", result.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        ["export", "hope-tiny", "-o", "x.json"],
        ["draw", "hope-tiny", "-o", "x.svg"],
        ["diff", "hope-tiny", "titans-mac-tiny", "-o", "x.svg"],
        ["new", "x"],
    ],
)
def test_every_writer_leaves_nothing_on_a_full_disk(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", fill)
    result = CliRunner().invoke(application, command)
    assert result.exit_code == 2, result.output
    assert re.search(r"x\.(json|svg|yaml)`? can't be written: No space left", result.stderr)
    assert ".part" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "hope-tiny", "--out", ""),
        ("train", "hope-tiny", "--out="),
        ("train", "--resume", "", "--max-steps", "3"),
        ("train", "hope-tiny", "--data", ""),
        ("draw", "hope-tiny", "-o", ""),
        ("generate", "run", "To be", "--learn", "--state", ""),
    ],
)
def test_a_place_that_is_named_by_nothing_is_not_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 2
    assert re.fullmatch(
        r"NG725 `-\S+` names nothing; give a path, or leave it away\n", result.stderr
    )
    assert not list(tmp_path.iterdir())


def test_an_empty_prompt_is_no_place() -> None:
    result = CliRunner().invoke(application, ["generate", "gone", "", "--learn"])
    assert "NG725" not in result.stderr
