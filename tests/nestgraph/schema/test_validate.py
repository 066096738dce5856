"""What is wrong with a spec, in the author's words and at its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mistakes import FILE, GOOD, errors, errors_with

from nestgraph.findings import Findings
from nestgraph.language import zoo
from nestgraph.text.source import parse
from nestgraph.text.tree import Entry, Items, Table, Tree

DRAFTS = Path(__file__).parent.parent / "drafts"
# Short ones first: a key is mistyped in the first text that has it, which is read for each mistake.
TEXTS = {
    "dgd": DRAFTS / "dgd.yaml",
    "m3-ema": DRAFTS / "m3-ema.yaml",
    "srwm": DRAFTS / "srwm.yaml",
    "moneta": DRAFTS / "moneta.yaml",
    "titans-mac": DRAFTS / "titans-mac.yaml",
    "samba": DRAFTS / "samba.yaml",
    "hope": zoo.folder() / "hope.yaml",
}
CHOSEN_NAMES = ("vars", "levels", "blocks", "memories", "nodes", "with")


def keys(tree: Tree, holder: str = "") -> Iterator[tuple[str, str, Entry]]:
    """Yield the keys of a file that belong to the language, not to its author, with their
    holders.
    """
    if isinstance(tree, Items):
        for item in tree.items:
            yield from keys(item, f"{holder}-item")
    if isinstance(tree, Table):
        for key, entry in tree.entries.items():
            if holder in CHOSEN_NAMES:
                yield from keys(entry.value, f"{holder}-entry")
                continue
            yield holder, key, entry
            yield from keys(entry.value, key)


def mistyped(key: str) -> set[str]:
    return {key + key[-1], key[0] + "x" + key[1:], key.removesuffix("s") + "s" * (key[-1] != "s")}


def new_keys(name: str) -> dict[tuple[str, str], Entry]:
    """Return the keys of a text, with their holders, that no text before it has."""
    found: dict[tuple[str, str], Entry] = {}
    for before, path in TEXTS.items():
        tree = parse(path.read_text(encoding="utf-8"), FILE, Findings())
        assert tree is not None
        own = {(holder, key): entry for holder, key, entry in keys(tree)}
        if before == name:
            return {pair: entry for pair, entry in own.items() if pair not in found}
        found |= own
    raise AssertionError(name)


@pytest.mark.parametrize("name", TEXTS)
def test_a_mistyped_key_is_one_finding_at_its_place_with_a_suggestion(name: str):
    text = TEXTS[name].read_text(encoding="utf-8")
    fresh = new_keys(name)
    assert fresh
    for (_, key), entry in fresh.items():
        for wrong in mistyped(key) - {key}:
            lines = text.splitlines()
            line, column = lines[entry.key.line - 1], entry.key.column - 1
            lines[entry.key.line - 1] = line[:column] + wrong + line[column + len(key) :]

            found = errors("\n".join(lines))

            assert len(found) == 1, found
            assert found[0].startswith(f"{entry.key}: NG103 unknown key `{wrong}` in ")
            assert f"did you mean `{key}`?" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (
            "net: linear",
            "net: liner",
            "8:16: NG104 `net` of memory `M` is `liner`; expected `linear`",
        ),
        ("net: linear", "net: 3", "8:16: NG104 `net` of memory `M` is 3; expected a word or a"),
        ("net: linear", "net: {kind: mpl}", "8:23: NG104 `kind` of `net` of memory `M` is `mpl`"),
        ("net: linear", "net: {layers: 2}", "8:11: NG106 `net` of memory `M` needs `kind`"),
        (
            "net: linear",
            "net: {kind: [a]}",
            "8:23: NG104 `kind` of `net` of memory `M` is a list; expected",
        ),
        (
            "net: linear",
            "net: {kind: mlp, layers: 2.5}",
            "8:36: NG105 `net.layers` of memory `M` is 2.5 but must be whole; write a whole number",
        ),
        (
            "net: linear",
            "net: {kind: mlp, layers: $w / 3}",
            "8:36: NG105 `net.layers` of memory `M` is 2.66667 but must be whole; write `//`",
        ),
        (
            "net: linear",
            "net: {kind: mlp, expansion: 0}",
            "8:39: NG104 `net.expansion` of memory `M` is 0; expected more than 0",
        ),
        (
            "rate: r",
            "rate: true",
            "8:57: NG104 `rule.rate` of memory `M` is true; expected a number,",
        ),
        ("rate: r", "rate: [0.1, x]", "8:63: NG104 `rule.rate.1` of memory `M` is `x`; expected a"),
        (
            "rate: r",
            "rate: []",
            "8:57: NG104 `rule.rate` of memory `M` is a list; expected at least 1",
        ),
        ("rate: r", "rate: {per: head}", "8:51: NG106 `rule.rate` of memory `M` needs `flow`"),
        (
            "rate: r",
            "rate: {flow: r, per: hed}",
            "8:72: NG104 `rule.rate.per` of memory `M` is `hed`",
        ),
        (
            "rate: r",
            "retain: {flow: r, towards: home}",
            "8:78: NG104 `rule.retain.towards` of memory `M` is `home`; expected `zero` or `init`",
        ),
        (
            "rate: r",
            "retain: {numbr: 0.5}",
            "8:60: NG103 unknown key `numbr` in `rule.retain` of memory `M`; did you mean `number`",
        ),
        (
            "rate: r",
            "retain: {towards: init}",
            "8:51: NG106 `rule.retain` of memory `M` needs `flow`; add `flow: ...`",
        ),
        (
            "rate: r",
            "rate: .inf",
            "8:57: NG104 `rule.rate` of memory `M` is inf; expected a finite",
        ),
        (
            "rate: r",
            "erase: yes",
            "8:58: NG104 `rule.erase` of memory `M` is `yes`; expected `none`",
        ),
        (
            "rate: r",
            "mirror: lq",
            "8:59: NG104 `rule.mirror` of memory `M` is `lq`; expected `none` or `softmax`; "
            "write `{kind: lq, ...}`",
        ),
        (
            "values: v",
            "values: 3",
            "8:41: NG104 `values` of memory `M` is 3; expected a flow, a list",
        ),
        (
            "values: v",
            "values: {self: [v]}",
            "8:48: NG104 `values.self` of memory `M` is a list; exp",
        ),
        ("keys: k", "keys: {self: k}", "8:30: NG104 `keys` of memory `M` is a mapping; expected a"),
        ("keys: k", "keys: []", "8:30: NG104 `keys` of memory `M` is a list; expected at least 1"),
        ("op: sum", "op: summ", "14:17: NG104 no op is called `summ`; did you mean `sum`?"),
        ("op: sum", "op: 3", "14:17: NG104 `op` of node `out` is 3; expected a word"),
        ("op: sum, ", "", "14:12: NG106 node `out` does not say what it is; a node is told by"),
        ("op: sum", "op: sum, read: M", "14:22: NG103 node `out` has both `op` and `read`; a node"),
        ("in: [x, y]", "in: x", "14:26: NG104 `in` of node `out` is `x`; expected a list"),
        (
            "in: [x, y]",
            "in: [x, 1]",
            "14:30: NG104 `in.1` of node `out` is 1; expected the name of",
        ),
        (
            "sum, in: [x, y]",
            "divide, in: [x]",
            "14:29: NG104 `in` of node `out` is a list; expected",
        ),
        (
            "k: {op: linear, in: x}",
            "k: {op: linear}",
            "10:10: NG106 node `k` needs `in`; add `in: ...`",
        ),
        ("[sigmoid]", "[sigmod]", "12:45: NG104 no op is called `sigmod`; did you mean `sigmoid`?"),
        (
            "[sigmoid]",
            "[conv]",
            "12:45: NG106 `conv` needs `width`; write `{op: conv, width: ...}`",
        ),
        ("[sigmoid]", "[sum]", "12:45: NG104 `sum` takes several flows and can't stand in a chain"),
        ("[sigmoid]", "[position]", "12:45: NG104 `position` takes no flow and can't stand in a"),
        ("[sigmoid]", "[{op: conv}]", "12:45: NG106 `then.0` of node `r` needs `width`"),
        ("[sigmoid]", "sigmoid", "12:44: NG104 `then` of node `r` is `sigmoid`; expected a list"),
        ("[sigmoid]", "[3]", "12:45: NG104 `then.0` of node `r` is 3; expected an op"),
        (
            "[sigmoid]",
            "[{op: tanh, in: x}]",
            "12:56: NG103 `in` has no place in `then.0` of node `r`",
        ),
        ("[sigmoid]", "[{x: 1}]", "12:45: NG106 `then.0` of node `r` needs `op`"),
        ("nestgraph: 1", "nestgraph: 2", "1:12: NG104 `nestgraph` of the spec is 2; expected 1"),
        (
            "name: t",
            "name: a b",
            "2:7: NG104 `name` of the spec is `a b`; expected letters, digits",
        ),
        ("name: t\n", "", "1:1: NG106 the spec needs `name`"),
        ("{optimizer: adamw}", "3", "18:11: NG104 `training` of the spec is 3; expected a mapping"),
        ("optimizer: adamw", "lr: 0", "18:16: NG104 `training.lr` of the spec is 0; expected more"),
        (
            "optimizer: adamw",
            "betas: [0]",
            "18:19: NG104 `training.betas` of the spec is a list; expe",
        ),
        (
            "optimizer: adamw",
            "betas: [1, 0]",
            "18:20: NG104 `training.betas.0` of the spec is 1; exp",
        ),
        ("optimizer: adamw", "steps: 1.5", "18:19: NG105 `training.steps` of the spec is 1.5 but"),
        (
            "optimizer: adamw",
            "seed: -1",
            "18:18: NG104 `training.seed` of the spec is -1; expected",
        ),
        (
            "optimizer: adamw",
            "max_steps: 9",
            "18:12: NG103 unknown key `max_steps` in `training` of",
        ),
        ("optimizer: adamw", "lr: 1e-3, min_lr: 1", "18:30: NG104 `min_lr` is 1, more than `lr`"),
        (
            "{block: b, repeat: $d}",
            "b",
            "17:11: NG104 `model.stack.0` of the spec is `b`; expected",
        ),
        (
            "{block: b, repeat: $d}",
            "{repeat: 2}",
            "17:11: NG106 `model.stack.0` of the spec does not",
        ),
        ("[{block: b, repeat: $d}]", "[]", "17:10: NG104 `model.stack` of the spec is a list; exp"),
        (
            "repeat: $d",
            "repeat: 0",
            "17:30: NG104 `model.stack.0.repeat` of the spec is 0; expected",
        ),
        (
            "{block: b, repeat: $d}",
            "{stack: [{stack: [{block: b, rpeat: 2}]}]}",
            "17:40: NG103 unknown key `rpeat` in `model.stack.0.stack.0.stack.0` of the spec; "
            "did you mean `repeat`?",
        ),
        ("model:\n", "model: 3\nx:\n", "15:8: NG104 `model` of the spec is 3; expected a mapping"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(old: str, new: str, found: str):
    first = errors_with(old, new)[0]

    assert first.startswith(f"{FILE}:{found}"), first


def test_a_key_of_another_tool_leads_to_the_word_of_the_language():
    (found,) = errors_with("[sigmoid]", "[{op: conv, kernel_size: 4}]")

    assert "unknown key `kernel_size` in `then.0` of node `r`; did you mean `width`?" in found


def test_an_unknown_key_beside_the_only_missing_one_is_one_finding():
    (found,) = errors_with("embed: {vocab: 16, width: $w}", "embed: {vocab: 16, foo: $w}")

    assert found == (
        "t.yaml:16:22: NG103 unknown key `foo` in `model.embed` of the spec; "
        "`width` is missing there"
    )


def test_an_unknown_key_without_likeness_lists_the_known_ones():
    (found,) = errors_with("model:\n", "model:\n  zzz: 1\n")

    assert found.endswith("known here: `norm`, `horizon` and `head`")


def test_what_a_memory_took_by_like_is_reported_once():
    (found,) = errors_with("rule: {rate: r}}", "rule: {rte: r}}\n      N: {like: M, heads: 2}")

    assert "8:51: NG103 unknown key `rte` in `rule` of memory `M`" in found


def test_names_are_checked_beside_values_that_are_wrong():
    found = errors_with("{net: linear, keys: k, values: v", "{net: linaer, kexs: kk, values: vv")

    assert [line.split()[1] for line in found] == ["NG104", "NG103", "NG201", "NG201"]


def test_a_section_left_empty_is_as_good_as_none():
    text = GOOD.replace("levels: {fast: 4 tokens}", "levels:").replace("{optimizer: adamw}", "")

    assert errors(text) == []


@pytest.mark.parametrize(
    ("old", "new", "found", "suggested"),
    [
        ("vocab: 16", "vocab: 1e400", "`model.embed.vocab` of the spec is inf", "1"),
        ("vocab: 16", "vocab: -1e400", "`model.embed.vocab` of the spec is -inf", "1"),
        ("vocab: 16", "vocab: 6.7", "`model.embed.vocab` of the spec is 6.7", "7"),
        ("vocab: 16", "vocab: 1e30", "`model.embed.vocab` of the spec is 1e+30", "1"),
        ("{optimizer: adamw}", "{steps: 1e400}", "`training.steps` of the spec is inf", "1"),
        ("net: linear", "net: {kind: mlp, layers: 1e400}", "`net.layers` of memory `M`", "1"),
    ],
)
def test_any_number_that_must_be_whole_is_refused_with_one_that_may_stand_there(
    old: str, new: str, found: str, suggested: str
):
    (error,) = errors_with(old, new)

    assert found in error
    assert error.endswith(f"but must be whole; write a whole number, such as `{suggested}`")
    number = new[new.rindex(" ") + 1 :].rstrip("}")
    assert errors_with(old, new.replace(number, suggested)) == []
