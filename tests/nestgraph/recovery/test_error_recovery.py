"""One mistake hides no other, and none is blamed for what another one does."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mistakes import FILE, GOOD, errors, findings

from nestgraph.language import zoo
from nestgraph.language.spec import check

Edit = tuple[str, str]
TRAINING = "training: {optimizer: adamw}"
OPTIMIZER = """\
training:
  optimizer:
    blocks:
      sgd:
        inputs: [grad, lr]
        memories:
          W: {net: vector, objective: task, rule: {rate: lr, retain: -1}, level: step, init: given}
        nodes: {}
        colour: red
    optimizer: [{for: all, block: sgd}]
"""


def spoiled(*edits: Edit) -> str:
    text = GOOD
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def codes(*edits: Edit) -> list[str]:
    """Return the codes of all errors, in the order of the file."""
    return [line.split()[1] for line in errors(spoiled(*edits))]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        # The first of each pair leaves no system; the second is seen on a system only.
        ([("optimizer: adamw", "optimizer: nope, lr: -1")], ["NG347", "NG104"]),
        ([("optimizer: adamw", "lr: 1, min_lr: 2, steps: -1")], ["NG104", "NG104"]),
        ([("net: linear", "net: linaer"), ("rate: r", "rate: -1")], ["NG104", "NG334"]),
        ([("net: linear", "net: 3"), ("rate: r", "rate: -1")], ["NG104", "NG334"]),
        ([("net: linear", "net: {kind: lineal}"), ("rate: r", "rate: -1")], ["NG104", "NG334"]),
        ([("net: linear", "net: {kindd: linear}"), ("rate: r", "rate: -1")], ["NG103", "NG334"]),
        ([("net: linear", "heads: 3"), ("out: 1,", "out: 1, colour: red,")], ["NG222", "NG103"]),
        ([("net: linear", "heads: 3"), ("query: k", "query: k, colour: 3")], ["NG222", "NG103"]),
        ([("net: linear", "hedas: 3"), ("vocab: 16", "vocab: many")], ["NG103", "NG222", "NG104"]),
        ([("net: linear", "heads: 3"), ("out: 1", "out: 1.5")], ["NG222", "NG105"]),
        ([("net: linear", "heads: 3"), ("[sigmoid]", "[sigmod]")], ["NG222", "NG104"]),
        ([("net: linear", "heads: 3"), ("[sigmoid]", "[7]")], ["NG222", "NG104"]),
        ([("net: linear", "heads: 3"), ("name: t", "name: t t")], ["NG104", "NG222"]),
        ([("net: linear", "heads: 3"), ("nestgraph: 1", "nestgraph: 2")], ["NG104", "NG222"]),
        ([("net: linear", "heads: 3"), ("name: t", "name: t\nname: u")], ["NG102", "NG222"]),
        ([("net: linear", "heads: 3"), ("4 tokens", "4 tokns")], ["NG104", "NG222"]),
        ([("net: linear", "heads: 3"), ("block: b,", "block: bb,")], ["NG222", "NG205"]),
        (
            [("net: linear", "heads: 3"), ("b, rep", "b, with: {z: 1}, rep")],
            ["NG222", "NG103"],
        ),
        ([("net: linear", "heads: 3"), ("repeat: $d", "repeat: $q")], ["NG222", "NG108"]),
        ([("net: linear", "heads: 3"), ("query: k", "query: M")], ["NG222", "NG202"]),
        ([("net: linear", "heads: 3"), ("read: M", "read: N")], ["NG222", "NG203"]),
        ([("net: linear", "heads: 3, level: fats")], ["NG222", "NG204"]),
        # Both leave no system, and the first keeps the second from being looked at.
        ([("net: linear", "net: {kindd: linear, out: -3}")], ["NG103", "NG104"]),
        ([("keys: k", "keys: [k, 3]"), ("values: v", "values: nothing")], ["NG104", "NG201"]),
        ([("nestgraph: 1", "nestgraph: 2"), ("repeat: $d", "repeat: 1000000")], ["NG104", "NG114"]),
        ([("w: 8", "w: [8]"), ("d: $w // 2", "d: $w /")], ["NG104", "NG107"]),
        # Both stand in an optimizer that is written out.
        ([(TRAINING, OPTIMIZER)], ["NG103", "NG334"]),
        ([(TRAINING, OPTIMIZER), ("vocab: 16", "vocab: 0")], ["NG103", "NG104", "NG334"]),
    ],
)
def test_each_of_two_mistakes_is_named(edits: Sequence[Edit], expected: list[str]):
    assert sorted(codes(*edits)) == sorted(expected)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        # What depends on the value in question: widths, heads, uses, starts, clocks.
        ("width: $w", "width: [1]", "NG104"),
        ("width: $w", "width: 0", "NG104"),
        ("w: 8", "w: [8]", "NG104"),
        ("k: {op: linear, in: x}", "k: {op: lineup, in: x}", "NG104"),
        ("k: {op: linear, in: x}", "k: {op: concat, in: [x, x]}", "NG104"),
        ("k: {op: linear, in: x}", "k: 3", "NG104"),
        ("k: {op: linear, in: x}", "k: {op: linear, from_: x}", "NG103"),
        ("r: {op: linear, in: x, out: 1,", "r: {op: linear, in: x, out: one,", "NG104"),
        ("r: {op: linear, in: x, out: 1,", "r: {op: linear, in: x, colour: 1,", "NG103"),
        ("keys: k", "colour: k", "NG103"),
        ("keys: k", "keys: nothing", "NG201"),
        ("values: v", "values: 7", "NG104"),
        ("values: v", "values: M", "NG202"),
        ("M: {net: linear, keys: k, values: v, rule: {rate: r}}", "M: 3", "NG104"),
        ("net: linear", "net: 3", "NG104"),
        ("net: linear", "net: {kind: tree}", "NG104"),
        ("net: linear", "like: N, net: linear", "NG203"),
        ("net: linear", "level: slow, net: linear", "NG204"),
        ("rate: r", "rate: {}", "NG106"),
        ("query: k", "query: [k]", "NG104"),
        ("read: M", "read: nothing", "NG203"),
        ("in: [x, y]", "in: [x, nothing]", "NG201"),
        ("in: [x, y]", "in: [x, 3]", "NG104"),
        ("[sigmoid]", "[7]", "NG104"),
        ("block: b,", "block: nothing,", "NG205"),
        ("repeat: $d", "repeat: 0", "NG104"),
        ("optimizer: adamw", "lr: much, min_lr: 1", "NG104"),
        ("name: t", "name: t\nname: u", "NG102"),
        (TRAINING, "optimizer: [{for: all, spec: sgd}]", "NG103"),
    ],
)
def test_a_mistake_is_not_told_twice_by_what_follows_from_it(old: str, new: str, code: str):
    assert codes((old, new)) == [code]


@dataclass(frozen=True)
class Spoiler:
    """A mistake that can be made in many specs: what is replaced, by what, and its code."""

    pattern: str
    value: str
    code: str

    def places(self, text: str) -> list[re.Match[str]]:
        """Return where it can be made, comments left alone."""
        lines = text.split("\n")
        found = re.finditer(self.pattern, text)
        return [one for one in found if "#" not in lines[text.count("\n", 0, one.start())]]


SPOILERS = (
    Spoiler(r"\{op: (\w+), ", r"{op: \1, colour: 3, ", "NG103"),
    Spoiler(r"query:", "qurey:", "NG103"),
    Spoiler(r"\nmodel:\n", r"\nmodel:\n  colour: 3\n", "NG103"),
    Spoiler(r"nestgraph: 1", "nestgraph: 7", "NG104"),
    Spoiler(r"net: \w+", "net: 7", "NG104"),
    Spoiler(r"op: linear", "op: linaer", "NG104"),
    Spoiler(r"op: \w+", "op: 3", "NG104"),
    Spoiler(r"vocab: [$\w]+", "vocab: many", "NG104"),
    Spoiler(r"then: \[", "then: [nothing, ", "NG104"),
    Spoiler(r"objective: \w+", "objective: nothing", "NG104"),
    Spoiler(r"(training:.*)steps: \d+", r"\1steps: -4", "NG104"),
    Spoiler(r"(training:.*)lr: [\w.-]+", r"\1lr: 0", "NG104"),
    Spoiler(r"\{op: (\w+), in: \w+", r"{op: \1", "NG106"),
    Spoiler(r"vocab: \$vocab", "vocab: $vocab / * 2", "NG107"),
    Spoiler(r"in: \w+", "in: nothing", "NG201"),
    Spoiler(r"in: \[\w+, ", "in: [nothing, ", "NG201"),
    Spoiler(r"keys: \w+", "keys: nothing", "NG201"),
    Spoiler(r"values: \w+", "values: nothing", "NG201"),
    Spoiler(r"read: \w+", "read: Nothing", "NG203"),
    Spoiler(r"(\n +)level: [\w$]+", r"\1level: nothing", "NG204"),
    Spoiler(r"(training:.*)optimizer: [\w.-]+", r"\1optimizer: nothing", "NG347"),
    Spoiler(r"(rule: \{.*\brate: )[\w.$]+", r"\1-1", "NG334"),
    Spoiler(r"(rule: \{.*\bretain: )[\w.$]+", r"\1-1", "NG334"),
    Spoiler(r"(rule: \{.*\bmomentum: )[\w.$]+", r"\1-1", "NG334"),
)


def spoilt(text: str, spoils: Sequence[tuple[Spoiler, re.Match[str]]]) -> str:
    for spoiler, place in sorted(spoils, key=lambda one: -one[1].start()):
        text = text[: place.start()] + place.expand(spoiler.value) + text[place.end() :]
    return text


def drawn(random_: random.Random) -> tuple[str, list[tuple[Spoiler, re.Match[str]]]]:
    """Return the name of a spec, and two mistakes that can be made in it at places of their own."""
    while True:
        name = random_.choice((*zoo.names(), *zoo.optimizers()))
        text = (zoo.folder() / f"{name}.yaml").read_text(encoding="utf-8")
        pair = random_.sample(SPOILERS, 2)
        places = [spoiler.places(text) for spoiler in pair]
        if all(places):
            spoils = [(one, random_.choice(at)) for one, at in zip(pair, places, strict=True)]
            first, second = sorted((place for _, place in spoils), key=lambda one: one.start())
            if first.end() <= second.start():
                return name, spoils


@pytest.mark.parametrize("seed", range(60))
def test_two_mistakes_in_a_shipped_spec_bring_what_each_alone_brings(seed: int, tmp_path: Path):
    name, spoils = drawn(random.Random(seed))
    text = (zoo.folder() / f"{name}.yaml").read_text(encoding="utf-8")
    path = tmp_path / f"{name}.yaml"

    def found(*some: tuple[Spoiler, re.Match[str]]) -> list[str]:
        path.write_text(spoilt(text, some), encoding="utf-8")
        return sorted(one.code for one in check(path)[0] if one.severity == "error")

    alone = [found(one) for one in spoils]

    for (spoiler, _), brought in zip(spoils, alone, strict=True):
        assert set(brought) == {spoiler.code}
    assert found(*spoils) == sorted(alone[0] + alone[1])


def test_each_of_many_mistakes_is_named():
    edits = [
        ("4 tokens", "4 tokns"),
        ("net: linear", "net: 3"),
        ("rate: r", "rate: -1"),
        ("v: {op: linear,", "v: {op: linear, colour: 1,"),
        ("query: k", "query: k, at: sometimes"),
        ("vocab: 16", "vocab: 0"),
        ("optimizer: adamw", "lr: 1, min_lr: 2, steps: 0"),
    ]

    assert codes(*edits) == [
        *("NG104", "NG104", "NG334", "NG103", "NG104", "NG104", "NG104", "NG104"),
    ]


def test_what_is_used_nowhere_is_left_unsaid_beside_a_mistake_that_may_use_it():
    assert [one.code for one in findings(spoiled(("keys: k", "keys: 3")))] == ["NG104"]


def test_a_spec_full_of_mistakes_is_checked_in_a_bounded_number_of_readings():
    nodes = "".join(f"      n{index}: {{op: linear, in: q{index}}}\n" for index in range(60))
    text = GOOD.replace("    nodes:\n", f"    nodes:\n{nodes}")

    found = errors(text)

    assert len(found) == 60
    assert all(line.startswith(FILE) and "NG201" in line for line in found)
