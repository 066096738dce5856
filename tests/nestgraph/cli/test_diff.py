"""`nestgraph diff`: its text, its JSON and its exit statuses."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from nestgraph.cli.commands import app


def test_equal_specs_end_with_0(run, write) -> None:
    path = write()
    result = run("diff", path, path)
    assert result.exit_code == 0
    assert "no differences" in result.stdout


def test_different_specs_end_with_1(run, write) -> None:
    result = run("diff", write(), write("rate: 0.5", "rate: 0.25", name="other.yaml"))
    assert result.exit_code == 1
    assert "~ 0.layer/M  memory" in result.stdout
    assert "rule.rate: 0.5 -> 0.25" in result.stdout


def test_a_wrong_spec_ends_with_2(run, write) -> None:
    result = run("diff", write(), write("keys: k,", "keys: q,", name="bad.yaml"))
    assert result.exit_code == 2
    assert "bad.yaml:9:" in result.stderr
    assert run("diff", "nowhere.yaml", write()).exit_code == 2


def test_changes_are_those_of_the_second_spec(run, write) -> None:
    path = write()
    result = run("diff", path, path, "--set", "vars.heads=4")
    assert result.exit_code == 1
    assert "heads: 2 -> 4" in result.stdout


def test_json_holds_every_change(run, write) -> None:
    other = write("y: {read", "z: {op: silu, in: x}\n      y: {read", name="other.yaml")
    result = run("diff", write(), other, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [(node["change"], node["new"]) for node in told["nodes"]] == [("added", "0.layer/z")]
    assert [(edge["source"], edge["target"]) for edge in told["edges"]] == [
        ("0.layer/x", "0.layer/z")
    ]
    assert told["costs"]["parameters"]["difference"] == 0


def test_colours_are_for_terminals(write, monkeypatch) -> None:
    arguments = ["diff", str(write()), str(write("rate: 0.5", "rate: 0.1", name="b.yaml"))]
    assert "\x1b[" not in CliRunner().invoke(app, arguments).stdout
    assert "\x1b[33m" in CliRunner().invoke(app, arguments, color=True).stdout


def test_a_picture_is_drawn_beside_what_is_printed(run, write, tmp_path) -> None:
    other, picture = write("rate: 0.5", "rate: 0.25", name="other.yaml"), tmp_path / "diff.svg"
    result = run("diff", write(), other, "--json", "-o", picture, "--theme", "dark")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["nodes"]
    assert "Wrote" in result.stderr
    assert 'class="node write changed"' in picture.read_text()


def test_a_picture_that_has_no_format_ends_with_2(run, write, tmp_path) -> None:
    result = run("diff", write(), write(), "-o", tmp_path / "diff.xyz")
    assert result.exit_code == 2
    assert "NG805" in result.stderr
