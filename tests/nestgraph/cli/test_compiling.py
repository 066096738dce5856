"""`nestgraph compile`: plan, program, code, comparison."""

from __future__ import annotations

import ast

import pytest

from nestgraph.compiler import PASS_NAMES, equivalence


def test_the_plan_names_each_memory_and_its_kernel(run, write) -> None:
    shown = run("compile", write()).stdout
    assert shown.startswith("plan of small")
    assert "M" in shown
    assert "linear_memory" in shown or "delta" in shown


def test_the_program_is_printed_after_all_passes_or_after_one(run, write) -> None:
    last = run("compile", write(), "--print-ir").stdout
    first = run("compile", write(), "--print-ir-after", PASS_NAMES[0]).stdout
    assert "%k" in last
    assert PASS_NAMES[0] in first
    assert first != last


def test_an_unknown_pass_is_named_with_a_suggestion(run, write) -> None:
    result = run("compile", write(), "--print-ir-after", PASS_NAMES[0][:-1])
    assert result.exit_code == 2
    assert f"did you mean `{PASS_NAMES[0]}`?" in result.stderr


def test_the_emitted_code_is_python(run, write) -> None:
    assert ast.parse(run("compile", write(), "--emit", "python").stdout).body


def test_a_comparison_with_the_reference_agrees(run, write) -> None:
    result = run("compile", write(), "--verify")
    assert result.exit_code == 0, result.stderr
    assert "largest error" in result.stdout


def test_a_comparison_takes_as_many_tokens_as_it_is_told(run, write) -> None:
    told, untold = (run("compile", write(), "--verify", *some) for some in (("--tokens", "7"), ()))
    assert "over 7 tokens" in told.stdout
    assert "Tokens to compare: 7" in told.stderr  # before the slow part begins
    assert "over 20 tokens" in untold.stdout


def test_tokens_without_a_comparison_are_refused(run, write) -> None:
    result = run("compile", write(), "--tokens", "7")
    assert result.exit_code == 2
    assert "add --verify" in result.stderr


def test_a_comparison_that_disagrees_fails(run, write, monkeypatch) -> None:
    monkeypatch.setattr(equivalence, "TOLERANCE", -1.0)
    result = run("compile", write(), "--verify")
    assert result.exit_code == 1
    assert "differs" in result.stdout


@pytest.mark.parametrize("asked", [(), ("--print-ir",), ("--emit", "python"), ("--verify",)])
def test_an_optimizer_is_refused(run, asked) -> None:
    result = run("compile", "adamw", *asked)
    assert result.exit_code == 2
    assert "NG723 `adamw` is an optimizer, not a model" in result.stderr


def test_what_no_executor_runs_yet_is_refused_at_its_place(run, write) -> None:
    path = write("net: linear", "net: {kind: mlp, gated: true}")
    result = run("compile", path)
    assert result.exit_code == 2
    assert f"{path.name}:9:" in result.stderr
    assert "NG902" in result.stderr
    assert "^" in result.stderr


def test_the_program_is_printed_after_every_pass(run, write) -> None:
    shown = run("compile", write(), "--print-ir-after", "all").stdout
    assert all(f"# after {name}\n" in shown for name in PASS_NAMES)
