"""Names that lead back to themselves end in findings, or the spec loads; no walk is endless.

Specs name memories, ops, blocks, files and optimizers at random, so that most have rings of several
kinds at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from nestgraph.errors import Diagnostic
from nestgraph.language import references
from nestgraph.language.spec import check
from nestgraph.text.files import Texts

MAIN = "main.yaml"
HEAD = "nestgraph: 1\nname: ring\n"
ADAM = """
blocks:
  mine:
    inputs: [grad, lr]
    memories:
      p: {net: vector, level: step, objective: {kind: task, through: grad}, rule: {rate: lr},
          init: given}
"""
LOOP = """
nestgraph: 1
name: a
levels: {slow: 4 steps}
blocks:
  l:
    memories:
      M: {net: {kind: mlp}, level: slow, objective: task, INIT}
    nodes: {y: {read: M, query: x}, out: {op: sum, in: [x, y]}}
model: {embed: {vocab: 256, width: 16}, stack: [{block: l}], head: {tie: true}}
"""


def findings_of(files: dict[str, str]) -> Sequence[Diagnostic]:
    return check(MAIN, reader=Texts(files))[0]


def of_blocks(rng: random.Random) -> dict[str, str]:
    """Return blocks that call blocks, hold memories that start as each other, and ops that are
    tied.
    """
    names = [f"b{i}" for i in range(rng.randint(1, 4))]
    blocks = "".join(_block(name, names, rng) for name in names)
    levels = "levels: {chunk: 4 tokens, slow: 5 steps}\n"
    stack = f"stack: [{{block: {rng.choice(names)}, repeat: {rng.choice((1, 3))}}}]"
    return {
        MAIN: f"{HEAD}{levels}blocks:\n{blocks}model: {{embed: {{vocab: 8, width: 4}}, {stack}}}"
    }


def _block(name: str, blocks: Sequence[str], rng: random.Random) -> str:
    memories = [f"m{i}" for i in range(rng.randint(1, 5))]
    flows = ["x", *(f"n{i}" for i in range(rng.randint(1, 6)))]
    lines = [f"  {name}:", "    memories:"]
    lines += [f"      {memory}: {_memory(memories, flows, rng)}" for memory in memories]
    lines.append("    nodes:")
    lines += [f"      {flow}: {_node(memories, flows, blocks, rng)}" for flow in flows[1:]]
    out = f"{{op: sum, in: [x, {rng.choice(flows)}]}}"
    return "\n".join((*lines, f"      out: {out}", ""))


def _memory(memories: Sequence[str], flows: Sequence[str], rng: random.Random) -> str:
    if rng.random() < 0.2:
        return f"{{like: {rng.choice(memories)}}}"
    source = rng.choice(("", f", memory: {rng.choice(memories)}"))
    init = rng.choice(("", f", init: {{kind: from{source}}}"))
    if rng.random() < 0.3:
        level = rng.choice(("slow", "chunk"))
        return f"{{net: {{kind: mlp}}, level: {level}, objective: task{init}}}"
    reset = rng.choice(("", ", reset: chunk"))
    rate = rng.choice(("0.1", rng.choice(flows)))
    keys, values = rng.choice(flows), rng.choice(flows)
    return f"{{keys: {keys}, values: {values}, rule: {{rate: {rate}}}{reset}{init}}}"


def _node(
    memories: Sequence[str], flows: Sequence[str], blocks: Sequence[str], rng: random.Random
) -> str:
    at, flow = rng.choice(("before", "boundary", "after")), rng.choice(flows)
    return rng.choice(
        (
            f"{{read: {rng.choice(memories)}, query: {flow}, at: {at}}}",
            f"{{op: linear, in: {flow}, out: 4}}",
            f"{{op: linear, in: {flow}, out: 4, tie: {rng.choice(flows)}}}",
            f"{{block: {rng.choice(blocks)}, in: {flow}}}",
            f"{{op: sum, in: [{flow}, {rng.choice(flows)}]}}",
        )
    )


def of_files(rng: random.Random) -> dict[str, str]:
    """Return files that extend each other, optimizers that name each other, vars that need each
    other.
    """
    names = [MAIN, *(f"f{i}.yaml" for i in range(rng.randint(1, 5)))]
    return {name: _file(names, rng) for name in names}


def _file(names: Sequence[str], rng: random.Random) -> str:
    extends = rng.choice(("", f"extends: {rng.choice(names)}\n"))
    needed = rng.choices(range(5), k=5)
    variables = ", ".join(f"v{i}: {rng.choice((f'$v{j}', 1))}" for i, j in enumerate(needed))
    groups = ", ".join(
        rng.choice((f"{{for: all, spec: {rng.choice(names)}}}", "{for: rest, block: mine}"))
        for _ in range(rng.randint(1, 3))
    )
    return f"{HEAD}{extends}vars: {{{variables}}}{ADAM}optimizer: [{groups}]\n"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [of_blocks, of_files])
def test_a_spec_of_random_rings_loads_or_is_refused_at_a_place(kind, seed: int) -> None:
    findings = findings_of(kind(random.Random(f"{kind.__name__} {seed}")))
    assert all(one.span is not None for one in findings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [of_blocks, of_files])
def test_hundreds_of_specs_of_random_rings_end(kind) -> None:
    for seed in range(100, 500):
        findings_of(kind(random.Random(f"{kind.__name__} {seed}")))


@pytest.mark.parametrize(
    ("init", "code"),
    [
        ("init: {kind: from, memory: M}", "NG332"),
        ("init: {kind: from}", "NG106"),
        ("init: {kind: from, std: 0.1}", "NG103"),
        ("memory: m", "NG103"),
        ("init: {kind: form, memory: M}", "NG104"),
    ],
)
def test_a_group_on_steps_that_starts_as_itself_is_refused(init: str, code: str) -> None:
    found = {one.code: one.span for one in findings_of({MAIN: LOOP.replace("INIT", init)})}
    assert (span := found[code]) is not None
    assert span.line == 8
    assert ("NG332" in found) == (": M" in init), "only of a start that the author has named"


def doubling(depth: int, more: str = "") -> dict[str, str]:
    """Return optimizers of which each names the next one twice."""
    files = {
        f"f{i}.yaml": f"{HEAD}{more if i == 0 else ''}{ADAM}"
        f"optimizer: [{{for: vectors, spec: f{i + 1}.yaml}}, {{for: rest, spec: f{i + 1}.yaml}}]\n"
        for i in range(depth)
    }
    last = f"{HEAD}{ADAM}optimizer: [{{for: all, block: mine}}]\n"
    return {**files, MAIN: files["f0.yaml"], f"f{depth}.yaml": last}


@pytest.mark.parametrize("depth", [6, 12, 14, 15, 16, 40])
def test_optimizers_that_double_at_each_file_are_refused(depth: int) -> None:
    first, *others = findings_of(doubling(depth))
    assert first.code == "NG114"
    assert not others
    assert first.span is not None
    assert first.span.file == MAIN, "where the author's own file names the first of them"


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_optimizers_that_are_few_enough_may_double(depth: int) -> None:
    assert not findings_of(doubling(depth))


def test_optimizers_that_name_each_other_in_a_long_row_load() -> None:
    files = {
        f"f{i}.yaml": f"{HEAD}{ADAM}optimizer: [{{for: all, spec: f{i + 1}.yaml}}]\n"
        for i in range(40)
    }
    last = f"{HEAD}{ADAM}optimizer: [{{for: all, block: mine}}]\n"
    assert not findings_of({**files, MAIN: files["f0.yaml"], "f40.yaml": last})


def test_a_spec_with_mistakes_does_not_read_its_optimizers_anew_for_each_cure() -> None:
    class Counted(Texts):
        def read(self, file: str) -> str:
            read.append(file)
            return super().read(file)

    read: list[str] = []
    mistaken = "vars: {v: $w}\nlevels: {slow: 4 stpes, odd: none}\nextra: {a: 1}\n"
    findings = check(MAIN, reader=Counted(doubling(5, mistaken)))[0]
    assert {"NG103", "NG201"} & {one.code for one in findings}
    assert len(read) <= 1 + 2 * 5


def test_optimizers_that_hold_too_much_together_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(references, "MAX_PARTS", 200)
    nodes = "".join(f"      n{i}: {{op: sum, in: [grad, grad]}}\n" for i in range(60))
    large = f"{HEAD}{ADAM}    nodes:\n{nodes}optimizer: [{{for: all, block: mine}}]\n"
    named = ", ".join(["{for: vectors, spec: large.yaml}"] * 4)
    text = f"{HEAD}{ADAM}optimizer: [{named}, {{for: rest, block: mine}}]\n"
    findings = findings_of({MAIN: text, "large.yaml": large})
    [found] = [one for one in findings if one.code == "NG114"]
    assert "more than 200 nodes and memories" in found.message
