"""From tree to system: dotted names, chains, `like`, defaults, shared blocks, bounds."""

from __future__ import annotations

import time

import pytest
from building import block_of, spec_of, system_of
from mistakes import FILE, GOOD, errors, errors_with

from nestgraph.elaborate import Elaboration
from nestgraph.findings import Findings
from nestgraph.language.compose import Composer
from nestgraph.language.spec import Spec
from nestgraph.language.system import (
    NEVER,
    TOKEN,
    Coefficient,
    FlatBlock,
    Layer,
    Memory,
    Node,
    Read,
    Rule,
)
from nestgraph.text.files import Texts

# What it means to execute this is nobody's business: only its names are looked at.
NESTED = """
nestgraph: 1
name: t
blocks:
  inner:
    inputs: [a, b]
    memories:
      M:
        keys: k
        values: [a]
        objective: {kind: huber, delta: b}
        rule: {rate: {flow: k, per: key}, erase: {key: a, rate: b}, reduce: b}
      N: {like: M, init: {kind: from, memory: M}, values: {self: b}}
    nodes:
      k: {op: linear, in: a}
      l: {op: linear, in: b, tie: k}
      out: {read: M, query: l, at: before, then: [silu, tanh]}
  through: {output: x}
  middle:
    nodes:
      p: {block: inner, in: [x, q]}
      q: {block: through, in: x, then: [{op: gain, init: 2}]}
      out: {op: sum, in: [p, q, r]}
      r: {block: through, in: p}
  whole:
    nodes:
      first: {block: middle, in: x, then: [exp, relu]}
      out: {op: sum, in: [x, first]}
model: {embed: {vocab: 3, width: 4}, stack: [{block: whole, repeat: 2}, {block: through}]}
"""


def nested() -> FlatBlock:
    """Return the first layer of `NESTED`, as elaborated."""
    return layers_of(NESTED)[0].block


def layers_of(text: str) -> tuple[Layer, ...]:
    findings = Findings()
    composed = Composer(Texts({FILE: text}), findings).compose(FILE, {})
    assert composed is not None
    system = Elaboration(composed.tree, findings).system
    assert findings == []
    assert system is not None
    assert system.model is not None
    return system.model.layers


def memory_of(fields: str) -> Memory:
    return block_of(
        f"""
        memories:
          M: {{keys: k, values: v, {fields}}}
        nodes:
          k: {{op: linear, in: x}}
          v: {{op: linear, in: x}}
          r: {{op: linear, in: x, out: 1, then: [sigmoid]}}
          y: {{read: M, query: k}}
          out: {{op: sum, in: [x, y]}}
        """
    ).memories["M"]


def test_inner_blocks_are_inlined_under_dotted_names():
    layers = layers_of(NESTED)
    block = layers[0].block

    assert [layer.path for layer in layers] == ["0.whole", "1.whole", "2.through"]
    assert layers[0].block is layers[1].block
    assert layers[2].block.output == "x"
    assert list(block.memories) == ["first.p.M", "first.p.N"]
    assert {name: getattr(part, "inputs", None) for name, part in block.nodes.items()} == {
        "first.p.k": ("x",),
        "first.p.l": ("first.q",),
        "first.p.out.base": None,
        "first.p.out.then0": ("first.p.out.base",),
        "first.p.out": ("first.p.out.then0",),
        "first.q": ("x",),
        "first.out": ("first.p.out", "first.q", "first.p.out"),
        "first.then0": ("first.out",),
        "first": ("first.then0",),
        "out": ("x", "first"),
    }
    assert [(region.prefix, region.block) for region in block.regions] == [
        ("", "whole"),
        ("first", "middle"),
        ("first.p", "inner"),
        ("first.q", "through"),
        ("first.r", "through"),
    ]


def test_owners_name_the_place_of_parameters():
    nodes = nested().nodes

    owners = {name: part.owner for name, part in nodes.items()}
    tied = nodes["first.p.l"]

    assert owners["first.p.out.base"] == "first.p.out"
    assert owners["first.p.out.then0"] == "first.p.out.then0"
    assert owners["first.p.out"] == "first.p.out.then1"
    assert owners["first.q"] == "first.q.then0"
    assert owners["first"] == "first.then1"
    assert isinstance(tied, Node)
    assert tied.tie == "first.p.k"


def test_every_flow_of_a_memory_is_renamed_with_its_block():
    memories = nested().memories
    first, second = memories["first.p.M"], memories["first.p.N"]

    assert first.keys == ("first.p.k",)
    assert first.values == ("x",)
    assert first.objective.delta is not None
    assert first.objective.delta.flow == "first.q"
    assert (first.rule.rate.flow, first.rule.rate.per) == ("first.p.k", "key")
    assert (first.rule.erase.where, first.rule.erase.key) == ("key", "x")
    assert first.rule.erase.rate is not None
    assert first.rule.erase.rate.flow == "first.q"
    assert (first.rule.reduce, first.rule.reduce_is_flow) == ("first.q", True)
    assert second.init.memory == "first.p.M"
    assert second.self_values
    assert second.values == ("first.q",)
    assert second.rule.rate == first.rule.rate


def test_reads_are_renamed_with_their_block():
    read = nested().nodes["first.p.out.base"]

    assert isinstance(read, Read)
    assert (read.memory, read.query, read.at) == ("first.p.M", "first.p.l", "before")


def test_a_memory_that_says_nothing_has_the_defaults():
    memory = memory_of("")

    assert (memory.net.kind, memory.heads, memory.level, memory.reset) == (
        "linear",
        1,
        TOKEN,
        NEVER,
    )
    assert (memory.objective.kind, memory.init.kind, memory.gradient) == ("l2", "learned", "full")
    assert memory.rule == Rule(spans={})
    assert memory.written == {"keys", "values"}


def test_fields_of_a_memory_reach_the_system():
    memory = memory_of(
        "net: {kind: mlp, layers: 3, expansion: 0.5, activation: tanh, bias: true, norm: rms_norm, "
        "residual: true}, heads: 2, level: chunk, "
        "objective: {kind: lp, p: 3, scale: 2, window: 4}, "
        "rule: {rate: [0.1, 1], momentum: r, retain: 0.9, retain_first: true, erase: layers, "
        "implicit: true, direction: {kind: newton_schulz, steps: 3}, step: 2, "
        "mirror: {kind: lq, q: 4}, reduce: mean}, init: {kind: learned, std: 0.5}, "
        "reset: never, gradient: first_order"
    )

    net, rule, objective = memory.net, memory.rule, memory.objective
    assert (net.kind, net.layers, net.expansion, net.activation) == ("mlp", 3, 0.5, "tanh")
    assert (net.bias, net.norm, net.residual) == (True, "rms_norm", True)
    assert (memory.heads, memory.level.name, memory.level.period) == (2, "chunk", 4)
    assert (objective.kind, objective.p, objective.scale, objective.window) == ("lp", 3, 2, 4)
    assert rule.rate.numbers == (0.1, 1.0)
    assert rule.momentum.flow == "r"
    assert rule.retain.number == 0.9
    assert (rule.retain_first, rule.implicit, rule.erase.where) == (True, True, "layers")
    assert (rule.direction, rule.direction_steps) == ("newton_schulz", 3)
    assert rule.step == Coefficient(number=2.0, span=rule.spans["step"])
    assert (rule.mirror, rule.mirror_q, rule.reduce) == ("lq", 4, "mean")
    assert (memory.init.kind, memory.init.std, memory.gradient) == ("learned", 0.5, "first_order")


def test_fields_know_where_they_were_written():
    block = Spec.from_sources({FILE: GOOD}, FILE).system.model.layers[0].block  # type: ignore[union-attr]
    memory, node = block.memories["M"], block.nodes["r"]

    assert str(memory.span) == f"{FILE}:8:7"
    assert str(memory.spans["keys"]) == f"{FILE}:8:30"
    assert str(memory.spans["rule"]) == f"{FILE}:8:44"
    assert str(memory.spans["rule.rate"]) == str(memory.rule.rate.span) == f"{FILE}:8:57"
    assert str(memory.rule.spans["rate"]) == f"{FILE}:8:57"
    assert memory.rule.retain.span is None
    assert str(node.span) == f"{FILE}:12:45"
    assert str(block.nodes["r.base"].spans["out"]) == f"{FILE}:12:35"


def test_like_takes_whole_fields_and_chains():
    block = block_of(
        """
        memories:
          A: {net: mlp, heads: 2, keys: k, values: v, rule: {rate: 0.5, retain: 0.9}}
          B: {like: C, level: chunk}
          C: {like: A, rule: {rate: 0.1}}
        nodes:
          k: {op: linear, in: x}
          v: {op: linear, in: x}
          a: {read: A, query: k}
          b: {read: B, query: k}
          c: {read: C, query: k}
          out: {op: sum, in: [x, a, b, c]}
        """
    )
    first, second = block.memories["A"], block.memories["B"]

    assert (second.net.kind, second.heads, second.level.name) == ("mlp", 2, "chunk")
    assert second.rule.rate.number == 0.1
    assert second.rule.retain.number == 1.0
    assert first.rule.retain.number == 0.9
    assert second.written == {"net", "heads", "keys", "values", "rule", "level"}


def test_ops_carry_all_their_fields():
    block = block_of(
        """
        nodes:
          a: {op: repeat, in: x, times: [2, 3, 1, 2], heads: 2}
          b: {op: slice, in: a, size: 4, heads: 2}
          c: {op: rope, in: b, since: chunk}
          p: {op: position}
          out: {op: sum, in: [x, c], weights: [1, 0.5]}
        """
    )

    fields = {name: getattr(node, "fields", None) for name, node in block.nodes.items()}
    assert fields == {
        "a": {"heads": 2, "times": (2, 3, 1, 2)},
        "b": {"heads": 2, "start": 0, "size": 4},
        "c": {"heads": 1, "since": "chunk", "base": 10000},
        "p": {"since": None},
        "out": {"weights": (1.0, 0.5)},
    }
    assert getattr(block.nodes["p"], "inputs", None) == ()


def test_stacks_repeat_in_groups():
    text = GOOD.replace("  b:\n", "  c: {nodes: {out: {op: silu, in: x}}}\n  b:\n").replace(
        "[{block: b, repeat: $d}]",
        "[{repeat: 2, stack: [{block: b}, {repeat: 2, stack: [{block: c}]}]}, {block: c}]",
    )
    model = spec_of(text).system.model
    assert model is not None

    names = [layer.path.split(".")[1] for layer in model.layers]
    assert names == ["b", "c", "c", "b", "c", "c", "c"]


def test_training_fills_in_what_is_not_said():
    def training(text: str) -> object:
        return Spec.from_sources(
            {FILE: GOOD.replace("{optimizer: adamw}", text)}, FILE
        ).system.training

    full = training("{optimizer: m3, lr: 1e-2, betas: [0.8, 0.9], steps: 1e3, data: texts/}")
    assert getattr(full, "min_lr", None) == pytest.approx(1e-3)
    assert getattr(full, "betas", None) == (0.8, 0.9)
    assert getattr(full, "steps", None) == 1000
    assert getattr(full, "optimizer", None) == "m3"
    assert getattr(training("{}"), "min_lr", None) == pytest.approx(1e-4)
    assert getattr(training("{min_lr: 0}"), "min_lr", None) == 0


def test_optimizers_have_groups_in_order():
    system = system_of(
        """
        nestgraph: 1
        name: o
        vars: {rate: 0.5}
        blocks:
          b:
            vars: {keep: 1}
            inputs: [grad, lr]
            memories:
              p:
                net: vector
                level: step
                objective: {kind: task, through: grad}
                rule: {rate: lr, retain: $keep}
                init: given
        optimizer:
          - {for: {names: "*.q.*"}, block: b, with: {keep: $rate}}
          - {for: matrices, block: b}
          - {for: rest, spec: adamw}
        """
    )
    groups = system.optimizer
    assert groups is not None

    assert [(group.kind, group.names, group.spec) for group in groups] == [
        ("names", "*.q.*", None),
        ("matrices", None, None),
        ("rest", None, "adamw"),
    ]
    keeps = [group.block.memories["p"].rule.retain.number for group in groups[:2] if group.block]
    assert keeps == [0.5, 1]
    assert groups[0].block is not None
    assert groups[0].block.output is None


@pytest.mark.parametrize("repeat", ["1000000000", "$w ^ 20", "20001"])
def test_a_repeat_of_a_billion_is_a_finding_at_once(repeat: str):
    start = time.process_time()
    (found,) = errors_with("repeat: $d", f"repeat: {repeat}")

    assert "17:30: NG114 the model would hold" in found
    assert "nodes and memories; at most 20,000 fit; repeat less" in found
    assert time.process_time() - start < 2


def test_groups_of_groups_are_bounded_together():
    inner = "{block: b}"
    for _ in range(8):
        inner = f"{{repeat: 30, stack: [{inner}]}}"

    found = errors_with("{block: b, repeat: $d}", inner)

    assert any("NG114 the model would hold" in line for line in found)


def test_blocks_that_double_themselves_are_bounded():
    text = GOOD.replace("  b:\n", "  b0: {nodes: {out: {op: silu, in: x}}}\n  b:\n")
    blocks = "".join(
        f"  b{i}: {{nodes: {{p: {{block: b{i - 1}, in: x}}, out: {{block: b{i - 1}, in: p}}}}}}\n"
        for i in range(1, 30)
    )

    found = errors(text.replace("  b:\n", blocks + "  b:\n").replace("block: b,", "block: b29,"))

    assert any("NG114 block `b15` holds" in line for line in found)
