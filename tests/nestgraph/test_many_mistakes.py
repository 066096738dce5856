"""Thousands of mistakes are told in seconds: what was meant is sought for the first of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nestgraph.errors import render
from nestgraph.findings import MOST_HELPED
from nestgraph.language.spec import check
from nestgraph.text.files import Texts

MANY = 5_000
FILE = "many.yaml"
SECONDS = 2.0  # of CPU; about half of it is needed
BLOCK = """
nestgraph: 1
name: many
VARS
blocks:
  a:
    memories: {M: {keys: x, values: x, rule: {rate: 0.1}}MEMORIES}
    nodes:
      y: {read: M, query: x}
      out: {op: sum, in: [x, y]}
NODES
model: {embed: {vocab: 16, width: 8}, stack: [{block: a}STACK]}
TRAINING
"""


def spec(**parts: str) -> str:
    text = BLOCK
    for name in ("VARS", "MEMORIES", "NODES", "STACK", "TRAINING"):
        text = text.replace(name, parts.get(name.lower(), ""))
    return text


def lines(one: Callable[[int], str], count: int = MANY) -> str:
    return "\n".join(one(i) for i in range(count))


def items(one: Callable[[int], str], count: int = MANY) -> str:
    return "".join(f",\n {one(i)}" for i in range(count))


def node(fields: str) -> Callable[[int], str]:
    return lambda i: f"      n{i}: {{op: linear, {fields.replace('#', str(i))}}}"


CASES = {
    "keys of the file": ("NG103", spec(training=lines(lambda i: f"unknown{i}: 1"))),
    "keys of one mapping": (
        "NG103",
        spec(training="training:\n" + lines(lambda i: f"  steps{i}: 1")),
    ),
    "flows": ("NG201", spec(nodes=lines(node("in: q#, out: 8"), 4_000))),
    "flows that resemble others": ("NG201", spec(nodes=lines(node("in: n#z, out: 8"), 4_000))),
    "memories": (
        "NG203",
        spec(nodes=lines(lambda i: f"      n{i}: {{read: M{i}, query: x}}", 4_000)),
    ),
    "ties": ("NG210", spec(nodes=lines(node("in: x, out: 8, tie: n#z"), 3_000))),
    "vars": (
        "NG108",
        spec(
            vars="vars:\n" + lines(lambda i: f"  q{i}: 8", 600),
            nodes=lines(node("in: x, out: $q#z"), 3_000),
        ),
    ),
    "levels": (
        "NG204",
        spec(memories=items(lambda i: f"m{i}: {{level: l{i}, keys: x, values: x}}", 3_000)),
    ),
    "blocks": ("NG205", spec(stack=items(lambda i: f"{{block: b{i}}}"))),
}


def told_in_time(kind: str, seconds: float) -> None:
    code, text = CASES[kind]
    begin = time.process_time()
    findings, sources = check(FILE, reader=Texts({FILE: text}))
    shown = [render(one, sources) for one in findings]
    taken = time.process_time() - begin
    wrong = [one for one in findings if one.code == code]
    assert len(wrong) >= 3_000
    assert all(one.span is not None and one.hint for one in wrong if code != "NG103")
    assert len(shown) == len(findings)
    assert taken < seconds


@pytest.mark.parametrize("kind", list(CASES)[:2])
def test_five_thousand_unknown_keys_are_told_in_two_seconds(kind: str) -> None:
    told_in_time(kind, SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CASES)[2:])
def test_thousands_of_unknown_names_of_one_kind_are_told_in_seconds(kind: str) -> None:
    told_in_time(kind, 2 * SECONDS)


def test_the_first_of_many_unknown_names_are_told_what_they_resemble() -> None:
    _, text = CASES["flows that resemble others"]
    findings, _ = check(FILE, reader=Texts({FILE: text}))
    wrong = [one for one in findings if one.code == "NG201"]
    assert wrong[0].hint == "did you mean `n0`?"
    assert "did you mean" in wrong[MOST_HELPED // 2].hint
    assert wrong[-1].hint == "name a node or input of `a`"
