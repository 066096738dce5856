"""Plain values as YAML text."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from nestgraph.findings import Findings
from nestgraph.text.source import parse
from nestgraph.text.tree import plain
from nestgraph.text.yaml_text import WIDTH, write

TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        "on",
        "No",
        "null",
        "~",
        "1e-3",
        "012",
        "0x1f",
        "a: b",
        "a #b",
        "- a",
        "",
        " ",
        "=",
        "16 tokens",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS.filter(lambda text: text.isprintable()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["blocks", "model", "nodes", "name", "a"]), VALUES))
def test_what_is_written_reads_back(values: dict[str, object]):
    findings = Findings()

    tree = parse(write(values) if values else "{}", "t.yaml", findings)

    assert findings == []
    assert tree is not None
    assert plain(tree) == values


def test_numbers_read_back_in_older_tools_too():
    values = {"a": 1e-8, "b": [1e300, 0.5, 12], "c": "on", "d": True, "e": "012"}

    assert yaml.safe_load(write(values)) == values


def test_short_things_stand_on_one_line_and_sections_are_open():
    text = write(
        {
            "name": "x",
            "vars": {"a": 1, "b": [1, 2]},
            "blocks": {"b": {"nodes": {"y": {"op": "silu", "in": "x"}}}},
            "long": {f"key_{i}": "value" for i in range(12)},
            "items": [f"item-{i}" for i in range(20)],
        }
    )

    lines = text.splitlines()
    assert lines[:6] == [
        "name: x",
        "vars: {a: 1, b: [1, 2]}",
        "blocks:",
        "  b:",
        "    nodes:",
        "      y: {op: silu, in: x}",
    ]
    assert lines[6:8] == ["long:", "  key_0: value"]
    assert "  - item-0" in lines
    assert max(map(len, lines)) <= WIDTH
