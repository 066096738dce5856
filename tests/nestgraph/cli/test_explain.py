"""`nestgraph explain`: codes by example."""

from __future__ import annotations


def test_a_code_is_explained_by_a_wrong_spec_what_is_said_and_the_right_one(run) -> None:
    result = run("explain", "NG201")
    assert result.exit_code == 0
    assert result.stdout.startswith("NG201  A name is no flow of its block.")
    assert "example.yaml:6:17: NG201 `keys: kk` names no flow here; did you mean `k`?" in (
        result.stdout
    )
    assert "M: {keys: k, values: x}" in result.stdout.partition("right")[2]


def test_small_letters_do(run) -> None:
    assert run("explain", "ng201").stdout == run("explain", "NG201").stdout


def test_a_code_that_no_spec_gets_has_its_sentence(run) -> None:
    assert run("explain", "NG721").stdout == "NG721  A file can't be written.\n"


def test_an_unknown_code_is_a_sentence_with_status_2(run) -> None:
    result = run("explain", "E501")
    assert result.exit_code == 2
    assert "`E501` is no code of nestgraph" in result.stderr
