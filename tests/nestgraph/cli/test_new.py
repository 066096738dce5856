"""`nestgraph new`: a spec of one's own from another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestgraph.comparison.compare import compare
from nestgraph.language import zoo
from nestgraph.language.spec import load


@pytest.mark.parametrize("copy", [[], ["--copy"]], ids=["extends", "copy"])
@pytest.mark.parametrize("start", zoo.names())
def test_the_new_spec_is_the_old_one_under_its_own_name(run, start, copy) -> None:
    result = run("new", "mine", "--from", start, *copy)
    assert result.exit_code == 0, result.output
    spec = load("mine.yaml")
    assert spec.system.name == "mine"
    assert not compare(load(start).system, spec.system)
    assert not spec.warnings
    assert ("extends:" in Path("mine.yaml").read_text()) == (not copy)


def test_what_comes_next_is_said_and_works(run) -> None:
    lines = run("new", "mine").stdout.splitlines()
    assert lines[0] == "Wrote mine.yaml, which extends hope-tiny"
    commands = {line.split()[0]: line.split()[2:] for line in lines[1:]}
    assert set(commands) == {"look", "draw", "compare", "check", "train"}
    for verb in ("look", "draw", "compare", "check"):
        assert run(*commands[verb]).exit_code == 0, verb


def test_the_vars_of_the_base_stand_ready(run) -> None:
    run("new", "mine", "--from", "hope")
    path = Path("mine.yaml")
    text = path.read_text()
    assert "#   width: 256\n" in text
    ready = text.replace("# vars:", "vars:").replace("#   width: 256", "  width: 64")
    path.write_text(ready)
    assert load("mine.yaml").system.model.width == 64


def test_a_base_of_ones_own_is_found_from_the_folder_of_the_new_spec(run, write) -> None:
    write()
    Path("inner").mkdir()
    result = run("new", "inner/mine", "--from", "small.yaml")
    assert result.exit_code == 0, result.output
    assert "extends: ../small.yaml\n" in Path("inner/mine.yaml").read_text()
    assert load("inner/mine.yaml").system.name == "mine"


def test_a_spec_in_one_line_is_copied_too(run) -> None:
    Path("flow.yaml").write_text(
        "{nestgraph: 1, name: f, blocks: {b: {nodes: {out: {op: silu, in: x}}}},"
        " model: {embed: {vocab: 5, width: 8}, stack: [{block: b}]}}\n"
    )
    assert run("new", "mine", "--from", "flow.yaml", "--copy").exit_code == 0
    assert load("mine.yaml").system.name == "mine"


def test_editors_are_led_to_the_schema(run) -> None:
    run("new", "mine")
    first = Path("mine.yaml").read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert Path(first.partition("=")[2]).is_file()


def test_nothing_is_overwritten(run) -> None:
    Path("mine.yaml").write_text("precious")
    result = run("new", "mine")
    assert result.exit_code == 2
    assert "NG808" in result.stderr
    assert Path("mine.yaml").read_text() == "precious"


@pytest.mark.parametrize("name", ["a b", "", "../-x", "<b>"])
def test_what_can_be_no_name_is_refused(run, name) -> None:
    result = run("new", name)
    assert result.exit_code == 2, result.output
    assert "can't be the name of a spec" in result.stderr
    assert not list(Path().iterdir())


@pytest.mark.parametrize("name", ["hope-tiny", "adamw", "hope.yaml"])
def test_the_name_of_a_shipped_spec_would_hide_it_and_is_refused(run, name) -> None:
    result = run("new", name)
    assert result.exit_code == 2, result.output
    assert f"such as `my-{name.removesuffix('.yaml')}`" in result.stderr
    assert not list(Path().iterdir())


def test_a_folder_that_is_not_there_is_a_sentence(run) -> None:
    result = run("new", "nowhere/mine")
    assert result.exit_code == 2
    assert "NG721" in result.stderr


def test_a_bad_base_is_reported_and_nothing_written(run) -> None:
    assert run("new", "mine", "--from", "hope-tinny").exit_code == 2
    assert not Path("mine.yaml").exists()


@pytest.mark.parametrize("copy", [[], ["--copy"]], ids=["extends", "copy"])
def test_a_disk_that_fills_leaves_no_half_of_a_spec(run, monkeypatch, copy) -> None:
    def fill(number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.fsync", fill)
        result = run("new", "mine", "--from", "hope", *copy)
    assert result.exit_code == 2
    assert "NG721 `mine.yaml` can't be written: No space left on device" in result.stderr
    assert not list(Path().iterdir())
    assert run("new", "mine", "--from", "hope", *copy).exit_code == 0


def test_a_copy_elsewhere_names_the_files_that_the_original_names(run) -> None:
    for folder in ("a/opt", "b"):
        Path(folder).mkdir(parents=True)
    Path("a/opt/own.yaml").write_text("nestgraph: 1\nname: own\nextends: lion\n")
    Path("b/text.txt").write_text("to be")
    base = load("transformer-tiny").resolved_yaml()
    training = "training: {optimizer: opt/own, data: ../b/text.txt}  # mine\n"
    text = base.partition("\ntraining:")[0] + "\n" + training
    Path("a/m.yaml").write_text(text)
    Path("a/child.yaml").write_text("nestgraph: 1\nname: c\nextends: m\n")
    for start in ("a/m.yaml", "a/child.yaml"):
        mine = f"b/copy-of-{Path(start).stem}"
        result = run("new", mine, "--from", start, "--copy")
        assert result.exit_code == 0, result.output
        found = load(f"{mine}.yaml")
        assert found.names[found.system.training.spans["optimizer"]] == "a/opt/own.yaml"
        assert found.system.training.data == "text.txt"
    copy = Path("b/copy-of-m.yaml").read_text()
    assert "training: {optimizer: ../a/opt/own.yaml, data: text.txt}  # mine" in copy
