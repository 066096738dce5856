"""Long chains of everything: followed where that is cheap, refused where it would never end."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from mistakes import GOOD, errors

LONG = 1500


def after(line: str, lines: Iterable[str]) -> str:
    """Return the good spec with lines after one of its lines."""
    assert line in GOOD
    return GOOD.replace(line, line + "".join(f"{new}\n" for new in lines), 1)


def test_long_chains_of_vars_are_refused():
    chain = ", ".join(f"a{i}: $a{i + 1}" for i in range(LONG))

    found = errors(GOOD.replace("vars: {", f"vars: {{{chain}, a{LONG}: 1, "))

    assert "NG109 var `a50` stands at the end of a chain of 50 vars; give one of them" in found[0]


def test_long_chains_of_likes_are_refused():
    likes = [f"      m{i}: {{like: m{i + 1}}}" for i in range(LONG)]

    found = errors(after("  b:\n    memories:\n", [*likes, f"      m{LONG}: {{like: M}}"]))

    assert "NG209 `like` goes through more than 50 memories; name one nearer the end" in found[0]


def test_blocks_deep_inside_each_other_are_refused():
    blocks = [f"  b{i}: {{nodes: {{out: {{block: b{i + 1}, in: x}}}}}}" for i in range(LONG)]
    text = after("blocks:\n", [*blocks, f"  b{LONG}: {{nodes: {{out: {{op: silu, in: x}}}}}}"])

    found = errors(text.replace("block: b,", "block: b0,"))

    assert "NG114 block `b32` lies inside 32 others; let blocks follow each other" in found[0]


@pytest.mark.parametrize(
    "nodes",
    [
        [f"      n{i}: {{op: silu, in: {f'n{i - 1}' if i else 'x'}}}" for i in range(LONG)],
        [f"      n: {{op: silu, in: x, then: [{', '.join(['tanh'] * LONG)}]}}"],
        [
            f"      t{i}: {{op: linear, in: x{f', tie: t{i - 1}' if i else ''}}}"
            for i in range(LONG)
        ],
    ],
    ids=["nodes", "then", "ties"],
)
def test_long_chains_of_nodes_are_followed(nodes: list[str]):
    text = after("    nodes:\n", nodes).replace("repeat: $d", "repeat: 1")

    assert errors(text) == []


def test_long_chains_of_blocks_that_only_pass_on_are_followed():
    passes = ", ".join(f"p{i}: {{block: s, in: {f'p{i - 1}' if i else 'x'}}}" for i in range(LONG))
    out = f"out: {{op: sum, in: [x, p{LONG - 1}]}}"
    blocks = ["  s: {output: x}", f"  c: {{nodes: {{{passes}, {out}}}}}"]

    assert errors(after("blocks:\n", blocks).replace("block: b,", "block: c,")) == []
