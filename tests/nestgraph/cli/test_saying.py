"""Nothing in a name, a doc or a label acts on the terminal that a command prints to."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

import nestgraph.cli

Run = Callable[..., Result]
Write = Callable[..., Path]

HOSTILE = "\x1b[31mRED\x1b]0;title\x07\x9b2J\u202eevil"
QUOTED = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in HOSTILE)
MISTAKEN = """\
nestgraph: 1
name: a
blocks:
  "\\e[31mRED\\e]0;title\\a": {nodes: {"\\e[2Jk": {op: linear, in: "\\e[5m"}}}
"""
FOLDER = Path(nestgraph.cli.__file__).parent


def acts(text: str) -> list[str]:
    marks = "\u202e\u202d\u2066\u200f"
    control = (c for c in text if unicodedata.category(c) == "Cc" or c in marks)
    return [c for c in control if c not in "\n\t"]


@pytest.mark.parametrize("command", ["check", "show", "compile", "list", "explain"])
def test_a_spec_of_escape_sequences_is_refused_without_one(
    run: Run, tmp_path: Path, command: str
) -> None:
    (tmp_path / "esc.yaml").write_text(MISTAKEN)

    done = run(command, "esc.yaml")

    assert done.exit_code != 0
    assert acts(done.output) == []


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_every_form_of_a_report_is_inert(run: Run, tmp_path: Path, form: str) -> None:
    (tmp_path / "esc.yaml").write_text(MISTAKEN)

    done = run("check", "esc.yaml", "--format", form)

    assert acts(done.output) == []
    assert "[5m" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "small.yaml"),
        ("show", "small.yaml", "--json"),
        ("check", "small.yaml"),
        ("compile", "small.yaml"),
        ("compile", "small.yaml", "--print-ir"),
        ("compile", "small.yaml", "--emit", "python"),
        ("diff", "small.yaml", "small.yaml", "--set", "vars.width=32"),
        ("diff", "small.yaml", "small.yaml", "--set", "vars.width=32", "--json"),
        ("export", "small.yaml"),
        ("export", "small.yaml", "--format", "graphml"),
    ],
    ids=" ".join,
)
def test_a_doc_and_a_label_are_printed_with_escapes(
    run: Run, write: Write, arguments: tuple[str, ...]
) -> None:
    write("doc: One linear memory.", f'doc: "{QUOTED}"')

    done = run(*arguments)

    assert done.exit_code in (0, 1), done.output
    assert acts(done.output) == []


def test_a_doc_is_drawn_as_text_with_escapes(run: Run, write: Write, tmp_path: Path) -> None:
    write("doc: One linear memory.", f'doc: "{QUOTED}"')

    run("draw", "small.yaml", "-o", "a.txt")

    drawn = (tmp_path / "a.txt").read_text()
    assert acts(drawn) == []
    assert "\\u001b[31mRED" in drawn


def test_what_show_resolves_reads_back_with_the_same_doc(run: Run, write: Write) -> None:
    write("doc: One linear memory.", f'doc: "{QUOTED}"')

    resolved = run("show", "small.yaml").output.partition("Resolved\n")[2]

    assert yaml.safe_load(resolved)["doc"] == HOSTILE


def test_a_path_that_turns_lines_round_is_told_with_escapes(run: Run, write: Write) -> None:
    name = "\u202elmay\x1b[2J.yaml"
    write(name=name)

    for arguments in (("check", name), ("show", name), ("draw", name, "-o", f"{name}.svg")):
        done = run(*arguments)
        assert done.exit_code == 0
        assert acts(done.output) == []
        assert "\\u202elmay\\u001b[2J" in done.output


def test_commands_print_by_one_function() -> None:
    """Whatever is printed past it would not be made inert."""
    for file in sorted(FOLDER.rglob("*.py")):
        if file.name == "saying.py":
            continue
        calls = [
            node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
        ]
        called = {ast.unparse(call.func) for call in calls}
        assert not called & {"print", "typer.echo", "typer.secho", "sys.stdout.write"}, file
