"""YAML text to a tree with places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestgraph.findings import Findings
from nestgraph.text.source import MAX_DEPTH, parse, resolve
from nestgraph.text.tree import Items, Scalar, Table, Tree, plain


def read(text: str) -> Tree:
    findings = Findings()
    tree = parse(text, "t.yaml", findings)
    assert findings == []
    assert tree is not None
    return tree


def complaints(text: str) -> list[str]:
    findings = Findings()
    parse(text, "t.yaml", findings)
    return [str(finding) for finding in findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("+12", 12),
        ("-0.5E+2", -50.0),
        ("012", 12),
        ("0o17", 15),
        ("0xff", 255),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("on", "on"),
        ("no", "no"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ("1e", "1e"),
        ("=", "="),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quoted_scalars_are_text():
    assert plain(read("{a: '1', b: \"true\", c: |\n  3\n}".replace("|\n  3\n", "'~'"))) == {
        "a": "1",
        "b": "true",
        "c": "~",
    }


def test_whole_floats_become_whole_numbers():
    assert plain(read("[1e3, 2.0, 2.5, 1e300]")) == [1000, 2, 2.5, 1e300]


def test_keys_and_values_know_their_places():
    tree = read("a: 1\nb:\n  - {cd: efg}\n")

    assert isinstance(tree, Table)
    assert str(tree.entries["b"].key) == "t.yaml:2:1"
    items = tree.get("b")
    assert isinstance(items, Items)
    inner = items.items[0]
    assert isinstance(inner, Table)
    entry = inner.entries["cd"]
    assert str(entry.key) == "t.yaml:3:6"
    assert str(entry.value.span) == "t.yaml:3:10"
    assert entry.value.span.end_column == 13


def test_columns_count_characters_not_bytes():
    tree = read("äöü: {ñ: 1}\n")

    assert isinstance(tree, Table)
    inner = tree.get("äöü")
    assert isinstance(inner, Table)
    assert inner.entries["ñ"].key.column == 7


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert plain(read("\ufeffa: 1\n")) == {"a": 1}


def test_an_alias_is_the_node_of_its_anchor():
    tree = read("a: &x {b: 1}\nc: *x\n")

    assert isinstance(tree, Table)
    assert tree.get("a") is tree.get("c")


def test_a_key_that_comes_twice_is_refused_and_the_first_kept():
    assert complaints("a: 1\nb: 2\na: 3\n") == [
        "t.yaml:3:1: NG102 key `a` comes twice; first on line 1"
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1: a\n", "t.yaml:1:1: NG111 key `1` is not a name"),
        ("true: a\n", "t.yaml:1:1: NG111 key `true` is not a name"),
        ("~: a\n", "t.yaml:1:1: NG111 key `~` is not a name"),
        ("[a]: b\n", "t.yaml:1:1: NG111 a key must be a name"),
        ("? {a: b}\n: c\n", "t.yaml:1:3: NG111 a key must be a name"),
        ("x: &a b\n*a : c\n", "t.yaml:2:1: NG111 a key must be a name"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "t.yaml:2:5: NG111 merge keys `<<` are not part"),
        ("a: !!int 3\n", "t.yaml:1:4: NG101 tag `tag:yaml.org,2002:int` is not part"),
        ("a: !!python/object:os.system {}\n", "t.yaml:1:4: NG101 tag `tag:yaml.org,2002:python/"),
        ("a: *b\n", "t.yaml:1:4: NG101 no anchor is called `&b`"),
        ("a: &a [*a]\n", "t.yaml:1:8: NG110 `*a` contains itself"),
        ("a: 1\n---\nb: 2\n", "t.yaml:2:1: NG101 a second document begins here"),
        ("a: [1, 2\n", "t.yaml:1:4: NG101 did not find expected ',' or ']' while parsing a flow"),
        ("a: b: c\n", "t.yaml:1:5: NG101 mapping values are not allowed in this context"),
        ("a:\n\t- b\n", "t.yaml:2:1: NG101 found character that cannot start any token"),
        ("a: 'b\n", "t.yaml:1:4: NG101 found unexpected end of stream while scanning a quoted"),
        ("a: b\x00c\n", "t.yaml:1:5: NG101 the file holds a character 0x0"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_at_its_place(text: str, complaint: str):
    found = complaints(text)

    assert len(found) == 1
    assert found[0].startswith(complaint)
    assert ";" in found[0]  # and it says what to do


def test_all_findings_of_a_text_come_at_once():
    assert len(complaints("a: 1\na: 2\n3: x\nb: !!str c\n")) == 3


@pytest.mark.parametrize("brackets", ["[", "{a: "])
def test_thousands_of_brackets_are_one_finding(brackets: str):
    found = complaints(brackets * 5000)

    assert len(found) == 1
    assert f"NG110 more than {MAX_DEPTH} levels of nesting" in found[0]


def test_depth_through_aliases_counts_too():
    lines = ["a0: &a0 [1]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100)]

    assert "NG110 more than" in complaints("\n".join(lines))[0]


def test_an_alias_bomb_is_one_finding():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]

    found = complaints("\n".join(lines))

    assert len(found) == 1
    assert "NG110 the file holds more than 50,000 values" in found[0]


@given(st.text(max_size=200))
def test_any_text_is_a_tree_or_a_finding(text: str):
    findings = Findings()
    tree = parse(text, "t.yaml", findings)

    # Breaks of a line in YAML are these five.
    empty = text.strip("\ufeff \t\r\n\x85\u2028\u2029") == ""
    assert tree is not None or findings or empty or "#" in text
    if isinstance(tree, Scalar):
        assert tree.span.line >= 1


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**9), 10**9)
        | st.text("ab: #'\"\n", max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_json_reads_as_the_values_it_holds(value: object):
    import json

    assert plain(read(json.dumps({"root": value}))) == {"root": value}


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("%YAML 2.0\n---\na: 1", "specs are YAML 1.2: delete the line that begins with `%`"),
        ("%YAML 1.2\n%YAML 1.2\n---\na: 1", "delete the line that begins with `%`"),
        ("%YAML x\n---\na: 1", "delete the line that begins with `%`"),
        ("%FOO x\n---\na: 1", "delete the line that begins with `%`"),
        ("%TAG\n---\na: 1", "delete the line that begins with `%`"),
        ("a: !x!foo 1", "tags are not part of the language; leave it out"),
        ('a: "\\q"', "write a backslash as two"),
        ('a: "\\x1"', "write a backslash as two"),
        ("a: *", "quote text that begins with `*` or `&`"),
        ("a: &", "quote text that begins with `*` or `&`"),
        ("a: b\n\tc: d", "indent with spaces, not tabs"),
    ],
)
def test_the_cure_of_a_text_that_is_no_yaml_fits_its_cause(text: str, cure: str) -> None:
    findings = Findings()
    parse(text, "t.yaml", findings)
    (found,) = findings
    assert found.code == "NG101"
    assert cure in found.hint
