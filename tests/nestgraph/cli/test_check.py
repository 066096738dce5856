"""`nestgraph check`: every problem, in three forms."""

from __future__ import annotations

import json


def test_a_right_spec_has_no_problems(run, write) -> None:
    result = run("check", write())
    assert result.exit_code == 0
    assert "no problems" in result.stdout


def test_every_problem_comes_in_one_run_with_place_and_caret(run, write) -> None:
    path = write("keys: k, values: x", "keys: kk, values: x, levle: token")
    result = run("check", path)
    assert result.exit_code == 2
    assert f"{path.name}:9:" in result.stdout
    assert "did you mean `k`?" in result.stdout
    assert "did you mean `level`?" in result.stdout
    assert "2 errors" in result.stdout
    shown, caret = result.stdout.splitlines()[1:3]
    assert shown[caret.index("^") :].startswith(("kk", "levle"))


def test_several_specs_are_checked_and_one_bad_one_is_enough_to_fail(run, write) -> None:
    good, bad = write(), write("keys: k,", "keys: q,", name="bad.yaml")
    result = run("check", good, bad)
    assert result.exit_code == 2
    assert f"{good}: no problems" in result.stdout
    assert "bad.yaml:9:" in result.stdout


def test_json_lists_each_finding_with_its_place(run, write) -> None:
    result = run("check", "--format", "json", write("keys: k,", "keys: q,"))
    (finding,) = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (finding["line"], finding["severity"]) == (9, "error")
    assert finding["column"] < finding["end_column"]
    assert finding["code"].startswith("NG")
    assert run("check", "--format", "json", write()).stdout.strip() == "[]"


def test_github_gets_workflow_commands(run, write) -> None:
    path = write("keys: k,", "keys: q,")
    result = run("check", "--format", "github", path)
    assert result.stdout.startswith("::error file=")
    assert "line=9,col=" in result.stdout
    assert run("check", "--format", "github", write()).stdout == ""


def test_what_no_executor_runs_yet_is_a_note_and_no_error(run, write) -> None:
    result = run("check", write("net: linear", "net: {kind: mlp, gated: true}"))
    assert result.exit_code == 0
    assert "note: " in result.stdout
    assert "NG9" in result.stdout
    assert "no problems, 1 warning, 1 note" in result.stdout


def test_a_missing_file_is_a_sentence_with_status_2(run) -> None:
    result = run("check", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stdout
    assert "Traceback" not in result.output


def test_a_misspelt_name_of_a_shipped_spec_gets_a_suggestion(run) -> None:
    assert "did you mean `hope-tiny`?" in run("check", "hope-tinny").stdout


def test_a_change_reaches_the_spec(run, write) -> None:
    result = run("check", write(), "--set", "vars.heads=3")
    assert result.exit_code == 2
    assert "heads" in result.stdout


def test_a_change_without_a_value_is_explained(run, write) -> None:
    result = run("check", write(), "--set", "vars.heads")
    assert result.exit_code == 2
    assert "--set PATH=VALUE" in result.output


TEN = """\
nestgraph: 1
name: ten
docs: a typo
levels: {chunk: 4 token, long: 16 tokens}
vars: {width: 16, heads: 3}
blocks:
  b:
    memories:
      M: {keys: kk, values: x, levle: long}
      N: {net: liner, keys: k, values: x, level: logn}
    nodes:
      k: {op: linear, in: x}
      y: {read: O, query: k}
      z: {read: N, query: M}
      out: {op: sum, in: [x, y, zz]}
model: {embed: {vocab: 256, width: $widht}, stack: [{block: c}]}
training: {lr: fast}
"""


def test_a_spec_with_ten_errors_gets_all_ten_in_one_run(run, tmp_path) -> None:
    (tmp_path / "ten.yaml").write_text(TEN)
    result = run("check", "ten.yaml", "--format", "json")
    found = {(f["line"], f["code"]) for f in json.loads(result.stdout) if f["severity"] == "error"}
    assert found == {
        (3, "NG103"),  # docs
        (9, "NG201"),  # kk
        (9, "NG103"),  # levle
        (10, "NG104"),  # liner
        (10, "NG204"),  # logn
        (13, "NG203"),  # O
        (14, "NG202"),  # M, a memory
        (15, "NG201"),  # zz
        (5, "NG108"),  # width, which is written $widht below
        (16, "NG205"),  # c
        (17, "NG104"),  # fast
    }
