"""Whoever does what a hint says has mended what it was about."""

from __future__ import annotations

from pathlib import Path

import pytest
from mistakes import GOOD, errors, errors_with

from nestgraph.errors import SpecError
from nestgraph.language.spec import load

OUT = "out: {op: sum, in: [x, y]}"
GATE = "then: [sigmoid]"


@pytest.mark.parametrize(
    ("right", "wrong", "hint", "mended"),
    [
        (OUT, "out: {op: add, in: [x, y]}", "did you mean `sum`?", OUT),
        (
            OUT,
            "out: {op: mul, in: [x, y]}",
            "did you mean `product`?",
            "out: {op: product, in: [x, y]}",
        ),
        (GATE, "then: [swish]", "did you mean `silu`?", "then: [silu]"),
        (
            OUT,
            "out: {op: concat, in: [x, y]}",
            "flows can't be joined: a `linear` of each and their `sum` is one matrix on what is "
            "joined",
            "a: {op: linear, in: x}\n      c: {op: linear, in: y}\n      "
            "out: {op: sum, in: [a, c]}",
        ),
        (
            OUT,
            "out: {op: sub, in: [x, y]}",
            "write `{op: sum, in: [a, b], weights: [1, -1]}`",
            "out: {op: sum, in: [x, y], weights: [1, -1]}",
        ),
        (GATE, "then: sigmoid", "expected a list; write `[sigmoid]`", GATE),
        (
            "in: x}",
            "in: x, out: w}",
            "expected a whole number; did you mean `$w`?",
            "in: x, out: $w}",
        ),
        ("vocab: 16", "vocab: w", "expected a whole number; did you mean `$w`?", "vocab: $w"),
        ("repeat: $d", "repeat: d", "expected a whole number; did you mean `$d`?", "repeat: $d"),
        (
            "fast: 4 tokens",
            "fast: 1/2 tokens",
            "a level moves once a token at most; write `1 tokens`",
            "fast: 1 tokens",
        ),
        ("fast: 4 tokens", "fast: 7/2 tokens", "write `//`", "fast: 7//2 tokens"),
        ("fast: 4 tokens", "fast: 2.5 tokens", "write `2 tokens`", "fast: 2 tokens"),
        ("out: 1,", "out: $w / 16,", "write a whole number, such as `1`", "out: 1,"),
        ("vocab: 16", "vocab: $w / 3", "write `//`", "vocab: $w // 3"),
        (
            "optimizer: adamw",
            "optimizer: adamw, betas: 0.9",
            "expected a list; write `[0.9, ...]`",
            "optimizer: adamw, betas: [0.9, 0.99]",
        ),
        (
            "optimizer: adamw",
            "optimizer: adamw, beta1: 0.9",
            "write `betas: [beta1, beta2]`",
            "optimizer: adamw, betas: [0.9, 0.95]",
        ),
        ("optimizer: adamw", "optimizer: AdamW", "did you mean `adamw`?", "optimizer: adamw"),
        (
            "optimizer: adamw",
            "optimizer: adamw, learning_rate: 0.01",
            "did you mean `lr`?",
            "optimizer: adamw, lr: 0.01",
        ),
        (
            "optimizer: adamw",
            "optimizer: adamw, dropout: 0.1",
            "the language has no dropout; the nearest is `training: {weight_decay: ...}`",
            "optimizer: adamw, weight_decay: 0.1",
        ),
        (
            "training: {",
            "epochs: 3\ntraining: {",
            "`steps` stands in `training`",
            "training: {steps: 3, ",
        ),
        ("net: linear", "net: dense", "did you mean `linear`?", "net: linear"),
        (
            "net: linear",
            "net: linear, objective: l1",
            "write `{kind: lp, p: 1}`",
            "net: linear, objective: {kind: lp, p: 1}",
        ),
        ("width: $w}", "width: $w, zork: 1}", "delete it", "width: $w}"),
        (
            OUT,
            "m: {op: matmul, in: [x, y]}\n      out: {op: sum, in: [x, m]}",
            "a learned matrix is `{op: linear}`; two flows are multiplied by `{op: product}`",
            "m: {op: product, in: [x, y]}\n      out: {op: sum, in: [x, m]}",
        ),
    ],
)
def test_the_mistake_is_told_and_gone_when_the_hint_is_followed(
    right: str, wrong: str, hint: str, mended: str
) -> None:
    told = errors_with(right, wrong)

    assert len(told) == 1
    assert told[0].endswith(hint)
    assert errors_with(right, mended) == []


def test_a_list_of_all_ops_stands_once_in_a_run_and_holds_none_of_optimizers() -> None:
    text = GOOD.replace(GATE, "then: [zork]").replace(OUT, "out: {op: zark, in: [x, y]}")

    first, second = errors(text)

    assert "known here: `affine`, " in first
    assert "`newton_schulz`" not in first
    assert second.endswith("; the finding at t.yaml:12:45 lists all that are known here")


def test_in_an_optimizer_its_own_ops_are_known() -> None:
    text = """\
nestgraph: 1
name: o
blocks:
  b:
    inputs: [grad, lr]
    memories:
      p:
        net: vector
        level: step
        objective: {kind: task, through: u}
        rule: {rate: lr}
        init: given
    nodes:
      u: {op: sgn, in: grad}
optimizer: [{for: all, block: b}]
"""

    assert errors(text) == ["t.yaml:14:15: NG104 no op is called `sgn`; did you mean `sign`?"]


BASE = """\
nestgraph: 1
name: base
levels: {fast: 4 tokens}
blocks:
  b:
    memories:
      M: {net: linear, level: fast, objective: task, gradient: none, rule: {rate: 0.1}}
    nodes:
      k: {op: linear, in: x}
      y: {read: M, query: k}
      out: {op: sum, in: [x, y]}
model:
  embed: {vocab: 16, width: 8}
  stack: [{block: b}]
"""


def child(folder: Path, change: str) -> str:
    """Return what is wrong with a spec that changes the base."""
    (folder / "base.yaml").write_text(BASE)
    path = folder / "child.yaml"
    path.write_text(f"nestgraph: 1\nname: child\nextends: base.yaml\n{change}\n")
    try:
        load(path)
    except SpecError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("change", "code", "hint", "mended"),
    [
        (
            "levels: {fast: 8 steps}",
            "child.yaml:4:10: NG333",
            "let it count tokens, such as `16 tokens`",
            "levels: {fast: 16 tokens}",
        ),
        (
            "blocks: {b: {memories: {M: {level: step}}}}",
            "child.yaml:4:36: NG333",
            "choose a level that counts tokens, such as `token`",
            "blocks: {b: {memories: {M: {level: token}}}}",
        ),
        (
            "blocks: {b: {memories: {M: {net: attention, objective: task}}}}",
            "child.yaml:4:34: NG320",
            "choose another net",
            "blocks: {b: {memories: {M: {net: linear, objective: task}}}}",
        ),
    ],
)
def test_what_a_child_makes_wrong_is_mended_in_the_child(
    tmp_path: Path, change: str, code: str, hint: str, mended: str
) -> None:
    told = child(tmp_path, change)

    assert code in told
    assert hint in told
    assert "base.yaml:7:" in told  # where the other half stands
    assert "delete `gradient`" not in told
    assert child(tmp_path, mended) == ""


def test_what_is_set_on_the_command_line_is_mended_there(tmp_path: Path) -> None:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)

    with pytest.raises(SpecError) as caught:
        load(path, set={"levels.fast": "8 steps"})

    assert "--set levels.fast=8 steps:1:" in str(caught.value)
    assert "delete" not in str(caught.value)


def test_who_is_told_to_delete_in_a_base_hears_that_the_child_may_be_wrong(tmp_path: Path) -> None:
    told = child(tmp_path, "blocks: {b: {memories: {M: {keys: k}}}}")
    assert "delete `keys`, or choose another objective" in told

    told = child(tmp_path, "blocks: {b: {memories: {M: {net: {kind: vector}}}}}")
    base = [line for line in told.splitlines() if "/base.yaml:" in line and "delete" in line]
    assert all("take back what" in line for line in base)
