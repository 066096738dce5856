"""Every rule against a spec that breaks it: the message, its place and its cure are golden text.

A spec in `bad/` says in its first line what is wrong with it. `pytest --refresh-golden` writes
what is found; read the difference before keeping it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import strategies
from building import model_of, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nestgraph import checks
from nestgraph.analysis.support import unsupported
from nestgraph.checks.registry import RULES
from nestgraph.errors import Diagnostic, SpecError, in_file_order, render
from nestgraph.language.spec import check, load
from nestgraph.language.system import (
    NEVER,
    TOKEN,
    FlatBlock,
    Init,
    Layer,
    Memory,
    Model,
    Net,
    Node,
    Objective,
    Read,
    Rule,
    System,
    Training,
)
from nestgraph.shapes import infer

BAD = Path(__file__).parent / "bad"


def findings(path: Path) -> tuple[tuple[Diagnostic, ...], Mapping[str, str]]:
    """Return all findings on a spec; where it is right, what nothing runs yet."""
    found, sources = check(path.name)
    if any(d.severity == "error" for d in found):
        return tuple(found), sources
    return in_file_order((*found, *unsupported(load(path.name).system))), sources


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_bad_spec_gets_every_finding_at_its_place(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    golden: Callable[[str, str], None],
):
    shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)  # so that places read `name.yaml:3:5` on every machine

    found, sources = findings(path)

    text = "\n".join(render(diagnostic, sources) for diagnostic in found) + "\n"
    golden(f"diagnostics/{path.stem}.txt", text)


def test_every_finding_has_a_place_and_a_cure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(BAD)
    for path in sorted(BAD.glob("*.yaml")):
        for diagnostic in findings(path)[0]:
            assert diagnostic.span is not None, diagnostic
            assert diagnostic.hint, diagnostic


def test_a_spec_without_faults_has_no_findings():
    system = model_of("""
        memories:
          M:
            net: {kind: mlp, residual: true}
            level: chunk
            keys: k
            values: {self: v}
            rule: {rate: 0.1, erase: key, implicit: true}
        nodes:
          k: {read: M, query: x, at: boundary, then: [l2_norm]}
          v: {op: linear, in: x}
          y: {read: M, query: v}
          out: {op: sum, in: [x, y]}
    """)

    assert checks.run(system) == ()


def test_a_repeated_inner_block_is_reported_once():
    spec = spec_of("""
        nestgraph: 1
        name: test
        blocks:
          inner:
            nodes:
              spare: {op: silu, in: x}
              out: {op: linear, in: x}
          outer:
            nodes:
              a: {block: inner, in: x}
              out: {block: inner, in: a}
        model: {embed: {vocab: 5, width: 8}, stack: [{block: outer, repeat: 2}]}
    """)

    assert [(d.code, d.message) for d in spec.warnings] == [("NG403", "`spare` is never used")]


def test_an_unused_instance_is_told_by_its_own_name_and_not_at_the_block_it_is_made_of():
    spec = spec_of("""
        nestgraph: 1
        name: test
        blocks:
          inner:
            nodes:
              out: {op: linear, in: x}
          outer:
            nodes:
              a: {block: inner, in: x}
              spare: {block: inner, in: x}
              out: {op: sum, in: [x, a]}
        model: {embed: {vocab: 5, width: 8}, stack: [{block: outer}]}
    """)

    (warning,) = spec.warnings
    assert warning.message == "`spare`, an instance of `inner`, is never used"
    assert warning.span is not None
    assert warning.span.line == 8


def test_a_long_block_is_checked_in_time():
    links = 20_000
    nodes = [tanh("out", "n0"), *(tanh(f"n{i}", f"n{i + 1}") for i in range(links))]
    system = by_hand([*nodes, tanh(f"n{links}", "x")], [])

    start = time.process_time()
    widths, found = infer(system)
    found += checks.run(widths)

    assert found == ()
    assert time.process_time() - start < 5


def test_many_memories_in_one_tangle_are_checked_in_time():
    count = 2_000
    reads = [read(f"y{i}", f"M{i}", f"y{i - 1}" if i else "x") for i in range(count)]
    memories = [linear(f"M{i}", f"y{(i + 1) % count}") for i in range(count)]
    system = by_hand([*reads, tanh("out", f"y{count - 1}")], memories)

    start = time.process_time()
    found = checks.run(infer(system)[0])

    assert {d.code for d in found} == {"NG310"}
    assert time.process_time() - start < 10


def tanh(name: str, flow: str) -> Node:
    return Node(name=name, owner=name, op="tanh", inputs=(flow,), fields={})


def read(name: str, memory: str, query: str) -> Read:
    return Read(name=name, owner=name, memory=memory, query=query, at="after")


def linear(name: str, values: str) -> Memory:
    return Memory(
        name=name,
        net=Net(kind="linear"),
        heads=1,
        level=TOKEN,
        keys=("x",),
        values=(values,),
        self_values=False,
        objective=Objective(kind="l2"),
        rule=Rule(),
        init=Init(kind="zero"),
        reset=NEVER,
        gradient="full",
    )


def by_hand(nodes: list[Node | Read], memories: list[Memory]) -> System:
    """Return a model of one block, put together without a file."""
    block = FlatBlock(
        name="b",
        inputs=("x",),
        memories={memory.name: memory for memory in memories},
        nodes={node.name: node for node in nodes},
        output="out",
    )
    layers = (Layer(path="0.b", block=block),)
    model = Model(vocab=5, width=8, layers=layers, norm=None, tie_head=True)
    return System(name="t", doc="", clocks={}, model=model, optimizer=None, training=Training())


@settings(max_examples=100)
@given(strategies.specs(), st.data())
def test_a_spec_with_one_random_fault_gets_findings_with_places_and_never_a_traceback(
    spec: dict[str, Any], data: st.DataObject
):
    holder, key = data.draw(st.sampled_from(list(leaves(spec))))
    words = ["x", "u0", "M0", "k0", "chunk", "boundary", "mlp", "attention", "task", "vector"]
    holder[key] = data.draw(st.sampled_from([*words, 0, 1, 3, 7, -1, 0.5, True, None, [], {}]))

    assert all(d.span is not None for d in faults(strategies.as_yaml(spec)))


def faults(text: str) -> tuple[Diagnostic, ...]:
    """Return all errors of a spec's text."""
    try:
        spec_of(text)
    except SpecError as error:
        return error.diagnostics
    return ()


def leaves(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a tree that holds a scalar, as its holder and its key there."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        if isinstance(value, dict | list):
            yield from leaves(value)
        else:
            yield tree, key


def test_rules_are_functions_of_one_sentence_each():
    names = [rule.name for rule in RULES]

    assert len(names) == len(set(names))
    assert all(rule.code.startswith(("NG104", "NG2", "NG3", "NG4")) for rule in RULES)
