"""Vars: what they are worth, who sees them, and which are unknown or unused."""

from __future__ import annotations

import pytest
from building import system_of
from mistakes import FILE, GOOD, errors, errors_with, findings

from nestgraph.language.system import FlatBlock, Node


def flat(file_vars: str, block_vars: str, given: str, out: str = "$a") -> FlatBlock:
    system = system_of(
        f"""
        nestgraph: 1
        name: t
        vars: {{{file_vars}}}
        blocks:
          b:
            vars: {{{block_vars}}}
            nodes: {{out: {{op: affine, in: x, scale: {out}}}}}
        model: {{embed: {{vocab: 3, width: 4}}, stack: [{{block: b, with: {{{given}}}}}]}}
        """
    )
    assert system.model is not None
    return system.model.layers[0].block


def scale(file_vars: str, block_vars: str, given: str, out: str = "$a") -> object:
    node = flat(file_vars, block_vars, given, out).nodes["out"]
    assert isinstance(node, Node)
    return node.fields["scale"]


@pytest.mark.parametrize(
    ("file_vars", "block_vars", "given", "worth"),
    [
        ("a: 1", "", "", 1),
        ("a: 1", "a: 2", "", 2),
        ("a: 1", "a: 2", "a: 3", 3),
        ("a: 1", "a: 2", "a: $a + 3", 4),
        ("a: 1", "a: $a + 10", "", 11),
        ("a: 1, b: 5", "a: 2, c: $a * $b", "a: $b", 5),
        ("a: $b * 2, b: $c + 1, c: 1e0", "", "", 4),
    ],
)
def test_with_beats_the_default_of_the_block_and_that_the_file(
    file_vars: str, block_vars: str, given: str, worth: float
):
    assert scale(file_vars, block_vars, given) == worth


def test_a_default_may_follow_a_var_that_was_given():
    assert scale("w: 8", "a: 1, d: $a * $w", "a: 3", out="$d") == 24


def test_inner_blocks_see_their_own_vars_and_the_file_but_not_their_caller():
    text = """
    nestgraph: 1
    name: t
    vars: {a: 1}
    blocks:
      inner: {nodes: {out: {op: affine, in: x, scale: $a}}}
      outer: {vars: {a: 2}, nodes: {out: {block: inner, in: y}, y: {op: affine, in: x, scale: $a}}}
    model: {embed: {vocab: 3, width: 4}, stack: [{block: outer}]}
    """
    model = system_of(text).model
    assert model is not None

    nodes = model.layers[0].block.nodes

    inner, outer = nodes["out.out"], nodes["y"]
    assert isinstance(inner, Node)
    assert isinstance(outer, Node)
    assert (inner.fields["scale"], outer.fields["scale"]) == (1, 2)


def test_words_and_truth_values_stand_alone():
    text = GOOD.replace("w: 8", "w: 8, kind: mlp, flag: true, fl: k")
    text = text.replace("net: linear", "net: {kind: $kind, residual: $flag}, level: fast")

    assert errors(text.replace("keys: k", "keys: $fl")) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("$w // 2", "$w // 0", ["3:17: NG107 `$w // 0` divides by zero; look at the vars"]),
        ("$w // 2", "$w * foo", ["3:22: NG107 `foo` stands where a number is due"]),
        ("$w // 2", "'$w * foo'", ["3:23: NG107 `foo` stands where a number is due"]),
        ("$w // 2", "$d + 1", ["3:17: NG109 var `d` needs itself: d -> d"]),
        ("w: 8", "w: $d", ["3:18: NG109 var `w` needs itself: w -> d -> w"]),
        ("w: 8", "w: [1]", ["3:11: NG104 var `w` is a list; expected a number or a word"]),
        ("w: 8", "w: ", ["3:11: NG104 var `w` is empty; expected a number or a word"]),
        ("vars: {w: 8, d: $w // 2}", "vars: 3", ["3:7: NG104 `vars` is 3", "NG108", "NG108"]),
        ("width: $w", "width: $ww", ["16:29: NG108 no var is called `$ww`; did you mean `w`?"]),
        ("width: $w", "width: $w + $zz * 2", ["16:34: NG108 no var is called `$zz`; known here"]),
    ],
)
def test_wrong_vars_are_found_where_they_are_written(old: str, new: str, found: list[str]):
    lines = errors_with(old, new)

    assert len(lines) == len(found)
    for line, part in zip(lines, found, strict=True):
        assert part in line


def test_a_broken_var_is_reported_once_and_not_where_it_is_used():
    (found,) = errors_with("w: 8", "w: 1 + $d * (2")

    assert "NG109" in found or "NG107" in found


def test_a_mistyped_declaration_is_reported_once_at_the_declaration():
    assert errors_with("w: 8", "ww: 8") == [
        f"{FILE}:3:8: NG108 var `ww` is used nowhere, but `$w` is; did you mean `w`?"
    ]


def test_a_mistyped_declaration_in_a_block_is_reported_there():
    text = GOOD.replace("  b:\n", "  b:\n    vars: {hedas: 1}\n").replace("out: 1", "out: $heads")

    assert errors(text) == [
        f"{FILE}:7:12: NG108 var `hedas` is used nowhere, but `$heads` is; did you mean `heads`?"
    ]


def test_a_var_that_nothing_uses_is_a_warning():
    text = GOOD.replace("w: 8", "w: 8, unused: 3").replace("  b:\n", "  b:\n    vars: {own: 2}\n")

    assert [f"{one.severity} {one}" for one in findings(text)] == [
        f"warning {FILE}:3:14: NG120 var `unused` is used nowhere; delete it",
        f"warning {FILE}:7:12: NG120 var `own` is used nowhere; delete it",
    ]


def test_with_names_vars_of_its_block():
    text = GOOD.replace("  b:\n", "  b:\n    vars: {out: 1}\n").replace("out: 1,", "out: $out,")

    (found,) = errors(text.replace("repeat: $d", "with: {outt: 1}"))

    assert found == (f"{FILE}:18:29: NG103 block `b` has no var `outt`; did you mean `out`?")


def test_with_that_needs_a_var_the_block_does_not_declare_says_so():
    (found,) = errors_with("repeat: $d", "with: {a: $d}")

    assert found.endswith("block `b` has no var `a`; declare it in the `vars` of `b`")


def test_a_value_of_with_must_be_a_number_or_a_word():
    text = GOOD.replace("  b:\n", "  b:\n    vars: {o: 1}\n").replace("out: 1,", "out: $o,")

    (found,) = errors(text.replace("repeat: $d", "repeat: $d, with: {o: [1]}"))

    assert (
        "NG104 `model.stack.0.with.o` of the spec is a list; expected a number or a word" in found
    )


def test_doc_and_name_are_never_arithmetic():
    assert errors(GOOD.replace("name: t", "name: t\ndoc: costs $5 or ($")) == []
