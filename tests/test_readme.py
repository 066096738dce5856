"""Everything that the README shows is run here, with fewer steps."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestgraph.cli.commands import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for named, text in fenced if named == language]


def commands() -> list[str]:
    """Return every line of the shell blocks, in order, without its comment."""
    lines = "".join(blocks("sh")).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.strip()]


def verbs() -> list[list[str]]:
    """Return the arguments of every `nestgraph` command, in order, as they are run here."""
    parts = [part for line in commands() for part in line.split("&&")]
    return [
        cheap(words[1:]) for part in parts if (words := shlex.split(part))[0].endswith("nestgraph")
    ]


def cheap(words: list[str]) -> list[str]:
    """Return the same command with one step, or few tokens."""
    if words[0] == "train":
        words = [*without(words, "--max-steps"), "--max-steps", "1", "--set", "vars.depth=1"]
        words += [] if "--data" in words else ["--data", "my_texts"]
    if words[0] == "generate":
        words = [*words, "--tokens", "3"]
    return words


def without(words: list[str], option: str) -> list[str]:
    at = words.index(option) if option in words else len(words)
    return words[:at] + words[at + 2 :]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_two_commands_install_from_the_shipped_constraints() -> None:
    install = [line for line in commands() if "pip install" in line]
    assert len(install) == 2
    for line in install:
        assert line.startswith(
            "python3 -m venv .venv && .venv/bin/pip install -c constraints-cpu.txt "
        )
    assert (ROOT / "constraints-cpu.txt").is_file()


@pytest.mark.filterwarnings("default")
def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_texts").mkdir()
    (tmp_path / "my_texts" / "one.txt").write_text("a text of my own, " * 100)
    ran = []
    for words in verbs():
        if words[0] == "view":
            assert_serves(words)
        else:
            result = CliRunner().invoke(app, words)
            expected = 1 if words[0] == "diff" else 0  # as for `diff` of files that differ
            assert result.exit_code == expected, (words, result.output, result.exception)
        ran.append(words[0])
    named = {"list", "show", "draw", "view", "diff", "compile", "train", "generate", "report"}
    assert named <= set(ran)


def assert_serves(words: list[str]) -> None:
    """Assert that a command goes on until it is stopped: its page answers."""
    command = [sys.executable, "-m", "nestgraph", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            address = served.stdout.readline().split()[0]
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
        finally:
            served.terminate()


def test_the_python_block_runs(tmp_path: Path) -> None:
    (code,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "hope-tiny.svg").stat().st_size


def test_the_example_spec_is_right_and_its_mistake_reads_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (spec,) = blocks("yaml")
    (shown,) = blocks("")
    Path("my-delta.yaml").write_text(spec)
    assert CliRunner().invoke(app, ["check", "my-delta.yaml"]).exit_code == 0
    assert CliRunner().invoke(app, ["compile", "my-delta.yaml"]).exit_code == 0
    Path("my-delta.yaml").write_text(spec.replace("keys: k,", "keys: kk,"))
    printed = CliRunner().invoke(app, ["check", "my-delta.yaml"]).stdout
    assert printed.splitlines()[:3] == shown.splitlines()
    assert len(spec.splitlines()) <= 12


@pytest.mark.parametrize(("name", "view"), [("hope.svg", "levels"), ("hope-block.svg", "block")])
def test_the_pictures_are_those_that_the_spec_draws(
    name: str, view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["draw", "hope", "--view", view, "-o", name]
    assert CliRunner().invoke(app, command).exit_code == 0
    hint = f"run `nestgraph draw hope --view {view} -o docs/{name}`"
    assert (ROOT / "docs" / name).read_bytes() == Path(name).read_bytes(), hint


def test_the_clocks_in_the_page_of_pictures_are_those_of_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["draw", "hope", "--view", "clock", "-o", "clock.txt"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert Path("clock.txt").read_text() in (ROOT / "docs" / "pictures.md").read_text()


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
