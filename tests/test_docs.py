"""The pages in `docs/` know every word of the language and every command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nestgraph.cli.commands import app
from nestgraph.compiler import PASS_NAMES
from nestgraph.compiler.passes.select import CLOSED, LOOPED, SCANS
from nestgraph.evaluation.choosing import find_task
from nestgraph.schema import OPS, Memory, Training

DOCS = Path(__file__).parent.parent / "docs"


def words(page: str) -> set[str]:
    """Return every word of the page that stands in code."""
    code = re.findall(r"`([^`\n]+)`", (DOCS / page).read_text(encoding="utf-8"))
    return {word for text in code for word in re.findall(r"[a-z][a-z0-9_-]*", text)}


@pytest.mark.parametrize("kind", [Memory, Training])
def test_every_field_is_in_the_language_page(kind) -> None:
    fields = {field.alias or name for name, field in kind.model_fields.items()}
    assert fields <= words("language.md")


def test_every_op_is_in_the_language_page() -> None:
    assert set(OPS) <= words("language.md")


def test_every_command_and_option_is_in_the_page_of_commands() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    shown = CliRunner().invoke(app, ["--help"], terminal_width=200).stdout
    commands = re.findall(r"^│ ([a-z]+) ", shown, re.MULTILINE)
    assert {"check", "draw", "train"} <= set(commands)
    for command in commands:
        assert f"nestgraph {command}" in page
        text = CliRunner().invoke(app, [command, "--help"], terminal_width=200).stdout
        for option in set(re.findall(r"--[a-z][a-z-]+", text)) - {"--help", "--out"}:
            assert option in page, f"{command} {option}"


def test_every_pass_is_in_the_page_of_the_compiler() -> None:
    assert set(PASS_NAMES) <= words("compiler.md")


def test_every_kernel_is_in_the_page_of_the_compiler() -> None:
    assert (SCANS | LOOPED | CLOSED | {"attention", "static"}) <= words("compiler.md")


def _claims() -> list[list[str]]:
    """Return the commands of the page of claims, word by word."""
    page = (DOCS / "claims.md").read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"`nestgraph ([^`]+)`", page)]


@pytest.mark.parametrize("arguments", _claims(), ids=" ".join)
def test_every_command_of_the_page_of_claims_is_one(arguments: list[str]) -> None:
    verb, name, *rest = arguments
    command = get_command(app).commands[verb]
    command.make_context(verb, [name, *rest])  # refuses options that it doesn't know
    if name != "length":
        assert find_task(name).steps > 0


def test_every_file_that_the_contributors_page_names_is_there() -> None:
    page = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:nestgraph|compiler|viz|specs|tests|docs|benchmarks)/[\w./-]*)`", page)
    assert len(named) > 30
    assert not [path for path in named if not (DOCS.parent / path).exists()]
