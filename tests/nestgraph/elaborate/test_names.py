"""What the parts of a spec may name, and what is said when they name something else."""

from __future__ import annotations

import pytest
from mistakes import FILE, GOOD, errors, errors_with


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("keys: k", "keys: kk", "8:30: NG201 `keys: kk` names no flow here; did you mean `k`?"),
        ("keys: k", "keys: [k, q1]", "8:34: NG201 `keys: q1` names no flow here; known here: `x`"),
        ("values: v", "values: {self: vv}", "8:48: NG201 `self: vv` names no flow here"),
        ("rate: r", "rate: rr", "8:57: NG201 `rate: rr` names no flow here; did you mean `r`?"),
        ("rate: r", "rate: {flow: rr}", "8:64: NG201 `flow: rr` names no flow here"),
        ("rate: r", "erase: {key: kk}", "8:64: NG201 `key: kk` names no flow here"),
        ("rate: r", "erase: {rate: kk}", "8:65: NG201 `rate: kk` names no flow here"),
        ("rate: r", "reduce: men", "8:59: NG201 `reduce: men` names no flow here"),
        (
            "net: linear",
            "objective: {kind: huber, delta: dd}",
            "8:43: NG201 `delta: dd` names no flow here",
        ),
        (
            "in: [x, y]",
            "in: [x, yy]",
            "14:30: NG201 `in: yy` names no flow here; did you mean `y`?",
        ),
        (
            "query: k",
            "query: M",
            "13:27: NG202 `M` is a memory, not a flow; read it: `{read: M, qu",
        ),
        ("keys: k", "keys: M", "8:30: NG202 `M` is a memory, not a flow; read it"),
        ("read: M", "read: MM", "13:17: NG203 `read: MM` names no memory here; did you mean `M`?"),
        ("read: M", "read: k", "13:17: NG203 `k` is a flow, not a memory; take the flow by its"),
        (
            "net: linear",
            "init: {kind: from, memory: N}",
            "8:38: NG203 `memory: N` names no memory here; known here: `M`",
        ),
        ("net: linear", "like: N", "8:17: NG203 `like: N` names no memory here"),
        (
            "net: linear",
            "level: fst",
            "8:18: NG204 `level: fst` names no level; did you mean `fast`?",
        ),
        (
            "net: linear",
            "reset: 4 tokens",
            "8:18: NG204 `reset: 4 tokens` names no level; give it a",
        ),
        ("[sigmoid]", "[{op: rope, since: f}]", "12:63: NG204 `since: f` names no level"),
        ("block: b", "block: bb", "17:19: NG205 no block is called `bb`; did you mean `b`?"),
        ("  b:\n", "  b:\n    inputs: [x, x]\n", "7:17: NG206 input `x` comes twice; delete one"),
        ("k: {op", "x: {op", "10:7: NG206 `x` already names something on line 6; inputs, nodes"),
        ("k: {op", "M: {op", "10:7: NG206 `M` already names something on line 8; inputs, nodes"),
        ("k: {op", "then0: {op", "10:7: NG206 `then0` names a step of `then` chains; choose"),
        ("k: {op", "k-1: {op", "10:7: NG206 node `k-1` is not a name; letters, digits and `_`"),
        ("M: {net", "3a: {net", "8:7: NG206 memory `3a` is not a name"),
        (
            "  b:\n",
            "  b:\n    inputs: [x, z]\n",
            "18:19: NG207 block `b` takes 2 flows; a block of the",
        ),
        ("  b:\n", "  b:\n    output: oot\n", "7:13: NG201 `output: oot` names no flow here"),
        (
            "out: {op",
            "ot: {op",
            "6:3: NG211 block `b` has no node `out`; call the node that it gives",
        ),
        (
            "k: {op: linear",
            "k: {tie: q, op: linear",
            "10:16: NG210 `tie: q` names no `linear` here",
        ),
        (
            "r: {op: linear",
            "r: {tie: r, op: linear",
            "12:16: NG210 `tie` goes round in a circle: r -> r",
        ),
        (
            "v: {op: linear, in: x}",
            "v: {op: conv, width: 2, tie: k, in: x}",
            "11:36: NG210 `tie: k` n",
        ),
    ],
)
def test_a_wrong_name_is_found_at_its_place(old: str, new: str, found: str):
    lines = errors_with(old, new)

    assert any(line.startswith(f"{FILE}:{found}") for line in lines), lines


def test_a_node_whose_fields_are_wrong_still_counts_as_a_name():
    (found,) = errors_with("k: {op: linear, in: x}", "k: {op: lineer, in: x}")

    assert "NG104 no op is called `lineer`; did you mean `linear`?" in found


def test_likes_that_go_round_are_found():
    text = GOOD.replace("{net: linear,", "{like: N,").replace(
        "    nodes:", "      N: {like: M}\n    nodes:"
    )

    found = errors(text)

    assert any(
        "9:17: NG209 `like` goes round in a circle: M -> N -> M; let one" in line for line in found
    )


def test_ties_that_go_round_are_found():
    text = GOOD.replace("k: {op: linear,", "k: {op: linear, tie: v,")
    text = text.replace("v: {op: linear,", "v: {op: linear, tie: k,")

    assert [line.split("; ")[0] for line in errors(text)] == [
        f"{FILE}:11:28: NG210 `tie` goes round in a circle: k -> v -> k",
    ]


def test_the_block_of_a_node_is_called_with_as_many_flows_as_it_takes():
    call = "  c: {nodes: {out: {block: b, in: [x, x]}}}\nmodel:"

    (found,) = errors(GOOD.replace("model:", call, 1))

    assert found.startswith(f"{FILE}:15:35: NG207 `out` gives 2 flows; block `b` takes 1; give `x`")


def test_blocks_that_contain_themselves_are_found():
    text = GOOD.replace(
        "model:",
        "  c: {nodes: {out: {block: d, in: x}}}\n  d: {nodes: {out: {block: c, in: x}}}\nmodel:",
        1,
    )

    found = errors(text)

    assert any(
        "NG208 block `c` contains itself: c -> d -> c; a block may" in line for line in found
    )


def test_blocks_that_pass_their_own_answer_round_are_found():
    text = GOOD.replace(
        "model:",
        "  same: {output: x}\n"
        "  c: {nodes: {p: {block: same, in: q}, q: {block: same, in: p}, "
        "out: {op: sum, in: [p, x]}}}\nmodel:",
        1,
    )

    (found,) = errors(text)

    assert "NG208 blocks that only pass their input on feed each other: p -> q -> p" in found


def test_unused_blocks_are_checked_too():
    text = GOOD.replace("model:", "  c: {nodes: {out: {op: silu, in: z}}}\nmodel:", 1)

    assert errors(text) == [
        f"{FILE}:15:35: NG201 `in: z` names no flow here; known here: `x` and `out`"
    ]


def test_a_block_must_be_a_mapping():
    assert (
        "NG104 block `c` is 3; expected a mapping"
        in errors(GOOD.replace("model:", "  c: 3\nmodel:", 1))[0]
    )


def test_a_spec_is_a_model_or_an_optimizer():
    without = GOOD[: GOOD.index("model:")]
    both = GOOD + "optimizer: [{for: all, block: b}]\n"

    assert errors(without)[0].startswith(f"{FILE}:1:1: NG106 the spec needs `model` or `optimizer`")
    assert errors(both) == [
        f"{FILE}:19:1: NG103 a spec is a model or an optimizer, not both; "
        "put the optimizer into a file of its own"
    ]


def test_a_model_or_optimizer_left_empty_is_none():
    start = GOOD[: GOOD.index("model:")]

    assert errors(start + "model:\n") == [
        f"{FILE}:15:7: NG104 `model` is empty; expected a mapping"
    ]
    assert errors(start + "optimizer: ~\n") == [
        f"{FILE}:15:12: NG104 `optimizer` is empty; expected a list"
    ]


def test_an_optimizer_is_given_three_flows():
    text = "nestgraph: 1\nname: o\nblocks:\n  b:\n    inputs: [grd, lr]\n    nodes: {}\n"

    found = errors(
        text + "optimizer: [{for: {names: '*.q'}, block: b}, {for: rest, spec: adamw}]\n"
    )

    assert found == [
        f"{FILE}:5:13: NG207 `grd` is nothing that an optimizer is given; "
        "`inputs` of `b` may be `grad`, `lr` and `input`"
    ]


@pytest.mark.parametrize(
    ("group", "found"),
    [
        (
            "{for: al, block: b}",
            "NG104 `optimizer.0.for` of the spec is `al`; expected `linear_maps",
        ),
        (
            "{for: all}",
            "NG106 `optimizer.0` of the spec does not say what it is; it is told by `bl",
        ),
        ("{for: {name: a}, block: b}", "NG103 unknown key `name` in `optimizer.0.for` of the spec"),
        (
            "{fr: all, spec: adamw}",
            "NG103 unknown key `fr` in `optimizer.0` of the spec; did you me",
        ),
        ("{for: all, block: c}", "NG205 no block is called `c`; known here: `b`"),
    ],
)
def test_wrong_groups_of_an_optimizer_are_found(group: str, found: str):
    text = "nestgraph: 1\nname: o\nblocks:\n  b: {inputs: [grad]}\noptimizer: [%s]\n"

    assert found in "\n".join(errors(text % group))
