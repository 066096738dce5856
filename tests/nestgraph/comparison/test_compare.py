"""Two specs compared: everything that can differ is found, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import strategies
from building import spec_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nestgraph.analysis.costs import total
from nestgraph.comparison.changes import Change
from nestgraph.comparison.compare import compare
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.language.system import (
    Clock,
    Coefficient,
    Erase,
    FlatBlock,
    Init,
    Layer,
    Memory,
    Net,
    Objective,
    System,
)

DRAFTS = sorted((Path(__file__).parent.parent / "drafts").glob("*.yaml"))
SPEC = """
nestgraph: 1
name: test
levels: {chunk: 4 tokens, long: 16 tokens}
blocks:
  b:
    memories:
      M: {net: {kind: mlp}, heads: 2, level: chunk, keys: k, values: v, rule: {rate: r}}
    nodes:
      k: {op: linear, in: x}
      v: {op: linear, in: x}
      r: {op: linear, in: x, out: 2, then: [sigmoid]}
      y: {read: M, query: k, at: boundary}
      out: {op: sum, in: [x, y]}
  f:
    nodes:
      out: {op: linear, in: x, then: [silu]}
model:
  embed: {vocab: 16, width: 8}
  stack: [{block: b, repeat: 3}, {block: f}]
"""


def changed(old: str = "", new: str = "") -> Spec:
    assert old in SPEC
    return spec_of(SPEC.replace(old, new, 1) if old else SPEC)


def compared(old: str, new: str):
    return compare(changed().system, changed(old, new).system)


@pytest.mark.parametrize("path", [*DRAFTS, *zoo.names()], ids=str)
def test_a_spec_does_not_differ_from_itself(path: str | Path) -> None:
    diff = compare(load(path).system, load(path).system)
    assert not diff
    assert "no differences" in str(diff)


def test_names_descriptions_and_places_do_not_count() -> None:
    assert not compare(changed().system, changed("name: test", "name: other\ndoc: More.").system)


def test_a_changed_value_stands_under_its_node() -> None:
    diff = compared("rule: {rate: r}", "rule: {rate: r, momentum: 0.9}")
    (node,) = diff.nodes
    assert (node.change, node.kind, node.new) == ("changed", "write", "0.b/M.write")
    assert node.attributes == (Change(name="rule.momentum", old="0", new="0.9"),)
    assert not diff.edges
    assert not diff.stack


def test_a_new_flow_is_a_node_with_its_edges() -> None:
    diff = compared("      out: {op: sum, in: [x, y]}", "      g: {op: silu, in: y}\n"
                    "      out: {op: sum, in: [x, g]}")  # fmt: skip
    assert [(n.change, n.id) for n in diff.nodes if n.change != "changed"] == [("added", "0.b/g")]
    edges = {(edge.change, edge.source, edge.target) for edge in diff.edges}
    assert edges == {
        ("removed", "0.b/y", "0.b/out"),
        ("added", "0.b/y", "0.b/g"),
        ("added", "0.b/g", "0.b/out"),
    }


def test_a_clock_that_ticks_otherwise_is_told_once() -> None:
    diff = compared("chunk: 4 tokens", "chunk: 8 tokens")
    assert diff.levels == (Change(name="chunk", old="every 4 tokens", new="every 8 tokens"),)
    assert not diff.nodes
    assert not diff.edges


def test_another_number_of_repeats_is_one_line() -> None:
    diff = compared("repeat: 3", "repeat: 5")
    assert diff.stack == (Change(name="0.b", old="b x3", new="b x5"),)
    assert not diff.nodes
    assert not diff.edges


def test_a_layer_put_in_front_moves_nothing_else() -> None:
    diff = compared("stack: [", "stack: [{block: f}, ")
    assert diff.stack == (Change(name="0.f", old=None, new="f x1"),)
    assert {node.change for node in diff.nodes} == {"added"}
    assert all(node.id.startswith("0.f/") for node in diff.nodes)


def test_what_came_with_a_layer_is_not_told_again_in_text() -> None:
    text = str(compared("stack: [", "stack: [{block: f}, "))
    assert "+ 0.f: f x1" in text
    assert "0.f/" not in text.replace("-> 0.f/x", "").replace("0.f/out ->", "")


def test_a_renamed_block_is_known_by_what_is_in_it() -> None:
    renamed = SPEC.replace("  b:\n", "  better:\n").replace("block: b,", "block: better,")
    diff = compare(changed().system, spec_of(renamed).system)
    assert diff.stack == (Change(name="0.better", old="b x3", new="better x3"),)
    assert not diff.nodes
    assert not diff.edges


def test_what_two_blocks_of_other_names_share_is_no_difference(
    golden: Callable[[str, str], None],
) -> None:
    diff = compare(load("gated-deltanet").system, load("comba").system)
    (renamed,) = diff.stack
    assert (renamed.old, renamed.new) == ("gated_delta x4", "comba x4")
    assert diff.nodes
    assert {node.id.split("/")[0] for node in diff.nodes} <= {"0.gated_delta", "0.comba"}
    golden("diff/gated-deltanet-comba.txt", f"{diff}\n")
    told = json.dumps(diff.as_json(), indent=1, ensure_ascii=False)
    golden("diff/gated-deltanet-comba.json", f"{told}\n")


def test_the_most_alike_of_renamed_blocks_are_paired_and_never_crosswise() -> None:
    stack = "stack: [{block: b, repeat: 3}, {block: f}]"
    names = SPEC.replace("  b:\n", "  c:\n").replace("  f:\n", "  g:\n")
    kept = names.replace(stack, "stack: [{block: c, repeat: 3}, {block: g}]")
    turned = names.replace(stack, "stack: [{block: g}, {block: c, repeat: 3}]")
    told = [
        [
            (change.old, change.new)
            for change in compare(changed().system, spec_of(new).system).stack
        ]
        for new in (kept, turned)
    ]
    assert told[0] == [("b x3", "c x3"), ("f x1", "g x1")]
    assert sorted(told[1], key=str) == [("b x3", "c x3"), ("f x1", None), (None, "g x1")] or (
        sorted(told[1], key=str) == [("b x3", None), ("f x1", "g x1"), (None, "c x3")]
    )


def test_blocks_that_share_little_are_strangers() -> None:
    stranger = SPEC.replace("{block: b, repeat: 3}", "{block: f}").replace(
        "stack: [{block: f}, ", "stack: [{block: h}, "
    )
    stranger = stranger.replace("model:", "  h: {nodes: {out: {op: rms_norm, in: x}}}\nmodel:")
    diff = compare(changed().system, spec_of(stranger).system)
    assert [(change.old, change.new) for change in diff.stack] == [
        ("b x3", None),
        (None, "h x1"),
    ] or ([(change.old, change.new) for change in diff.stack] == [(None, "h x1"), ("b x3", None)])


def test_nodes_that_differ_alike_stand_together_in_text() -> None:
    text = str(compared("width: 8", "width: 16"))
    assert "nodes alike" in text
    assert text.count("width: 8 -> 16") < 4


def test_optimizers_are_compared_inside_where_models_are() -> None:
    old, new = (
        load("hope-tiny", set={"training.optimizer": name}).system for name in ("adamw", "m3")
    )
    diff = compare(old, new)
    assert diff.training == (Change(name="optimizer", old="adamw", new="m3"),)
    assert diff.optimizer is not None
    assert Change(name="0.m3", old=None, new="m3 x1") in diff.optimizer.stack
    assert "optimizer adamw -> m3\n  levels\n    + slow: every 100 steps" in str(diff)
    assert diff.as_json()["optimizer"]["stack"][0]["name"] == "0.m3"


def test_an_optimizer_that_another_one_names_is_compared_with_it() -> None:
    old, new = (load(name).system for name in ("m3", "m3"))
    outer, rest = new.optimizer
    other = replace(rest, system=load("adamw", set={"vars.beta1": 0.5}).system)
    diff = compare(old, replace(new, optimizer=(outer, other)))
    assert {node.id for node in diff.nodes} >= {"1.adamw/first.write", "2.adamw/first.write"}


def test_an_optimizer_that_is_written_out_is_no_text_of_python() -> None:
    block = "{inputs: [grad, lr], memories: {p: {net: vector, level: step, init: given, "
    block += "objective: {kind: task, through: grad}, rule: {rate: lr}}}}"
    inline = f"blocks: {{s: {block}}}, optimizer: [{{for: all, block: s}}]"
    diff = compare(changed().system, spec_of(f"{SPEC}training: {{optimizer: {{{inline}}}}}").system)
    assert not diff.training
    assert diff.optimizer is not None
    assert "System(" not in str(diff)


def test_costs_stand_beside_their_differences() -> None:
    diff = compared("repeat: 3", "repeat: 4")
    old, new = (total(spec.system) for spec in (changed(), changed("repeat: 3", "repeat: 4")))
    told = diff.as_json()["costs"]["parameters"]
    assert told == {
        "old": old.parameters,
        "new": new.parameters,
        "difference": new.parameters - old.parameters,
    }
    assert f"parameters: {old.parameters:,} -> {new.parameters:,}" in str(diff)


def test_a_model_and_an_optimizer_differ_in_everything() -> None:
    adamw = load(DRAFTS[0]).system
    diff = compare(changed().system, adamw)
    assert {change.name for change in diff.stack if change.old} == {"0.b", "3.f"}
    assert compare(adamw, changed().system)


ONE = Coefficient(number=0.25)
MEMORIES: list[dict[str, object]] = [
    {"net": Net(kind="linear")},
    {"net": Net(kind="mlp", layers=3)},
    {"net": Net(kind="mlp", expansion=4.0000001)},
    {"net": Net(kind="mlp", activation="relu")},
    {"net": Net(kind="mlp", bias=True)},
    {"net": Net(kind="mlp", norm="rms_norm")},
    {"net": Net(kind="mlp", residual=True)},
    {"net": Net(kind="mlp", out=4)},
    {"heads": 4},
    {"level": Clock(name="long", unit="tokens", period=16)},
    {"keys": ("v",)},
    {"keys": ("k", "k")},
    {"values": ("k",)},
    {"self_values": True},
    {"objective": Objective(kind="dot")},
    {"objective": Objective(kind="l2", scale=2)},
    {"objective": Objective(kind="l2", window=3)},
    {"init": Init(kind="zero")},
    {"init": Init(kind="learned", std=0.5)},
    {"init": Init(kind="checkpoint", path="a", keys=("b",))},
    {"reset": Clock(name="long", unit="tokens", period=16)},
    {"gradient": "none"},
]
RULES: list[dict[str, object]] = [
    {"rate": ONE},
    {"momentum": ONE},
    {"momentum": Coefficient(numbers=(0.1, 0.2, 0.3, 0.4, 0.5))},
    {"retain": ONE},
    {"retain_first": True},
    {"erase": Erase(where="key")},
    {"erase": Erase(where="layers")},
    {"erase": Erase(key="v")},
    {"erase": Erase(rate=ONE)},
    {"implicit": True},
    {"direction": "newton_schulz"},
    {"direction": "newton_schulz", "direction_steps": 7},
    {"step": ONE},
    {"mirror": "softmax"},
    {"mirror": "lq", "mirror_q": 3.0},
    {"mirror": "lq", "mirror_q": 4.0},
    {"reduce": "mean"},
]


def with_memory(system: System, memory: Memory) -> System:
    assert system.model is not None
    blocks: dict[int, FlatBlock] = {}
    layers = []
    for layer in system.model.layers:
        block = layer.block
        if "M" in block.memories:
            block = blocks.setdefault(id(block), replace(block, memories={"M": memory}))
        layers.append(Layer(path=layer.path, block=block))
    return replace(system, model=replace(system.model, layers=tuple(layers)))


def variants() -> Iterator[Memory]:
    system = changed().system
    assert system.model is not None
    memory = system.model.layers[0].block.memories["M"]
    yield memory
    yield from (replace(memory, **fields) for fields in MEMORIES)  # type: ignore[arg-type]
    for fields in RULES:
        yield replace(memory, rule=replace(memory.rule, **fields))  # type: ignore[arg-type]


def test_every_field_of_a_memory_counts() -> None:
    system = changed().system
    systems = [with_memory(system, memory) for memory in variants()]
    for i, one in enumerate(systems):
        for j, other in enumerate(systems):
            assert bool(compare(one, other)) == (i != j), (i, j)


@given(data=st.data())
@settings(max_examples=40)
def test_what_a_drawn_spec_differs_in_is_what_was_changed(data: st.DataObject) -> None:
    """Comparing a spec with itself under another training finds that, and only that."""
    system = spec_of(strategies.as_yaml(data.draw(strategies.specs()))).system
    other = replace(system, training=replace(system.training, lr=system.training.lr / 3))
    assert not compare(system, system)
    diff = compare(system, other)
    assert [change.name for change in diff.training] == ["lr"]
    assert not (diff.nodes)
    assert not (diff.edges)
    assert not (diff.levels)
    assert not (diff.stack)
