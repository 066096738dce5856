"""Static: memories that learn in context become maps that only training moves."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import building
import field_draws
import pytest
import strategies
import torch
from hypothesis import given, settings

import nestgraph as ng
from nestgraph.analysis.parameters import parameter_table, state_shapes
from nestgraph.errors import SpecError
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.language.system import Memory, Read
from nestgraph.rewriting import static
from nestgraph.rewriting.rates import rates_off
from nestgraph.text.start_paths import start_paths

TINY = [name for name in zoo.names() if name.endswith("-tiny")]


def shapes(spec: Spec) -> dict[str, tuple[int, ...]]:
    return {one.name: one.shape for one in parameter_table(spec.system)}


def memories(spec: Spec) -> list[Memory]:
    model = spec.system.model
    assert model is not None
    return [memory for layer in model.layers for memory in layer.block.memories.values()]


def reads(spec: Spec) -> set[str]:
    """Return the parameters of the maps that are asked, as the memories of a spec would name
    them.
    """
    model = spec.system.model
    assert model is not None
    return {
        f"{layer.path}.{node.memory}.{shape.name}"
        for layer in model.layers
        for node in layer.block.nodes.values()
        if isinstance(node, Read)
        for shape in state_shapes(layer.block.memories[node.memory])
    }


@pytest.mark.parametrize("name", TINY)
def test_a_static_model_has_what_it_had_and_a_map_for_each_memory(name: str):
    spec = load(name)
    made = static(spec)

    before, after = shapes(spec), shapes(made)
    assert made.warnings == ()
    assert made.system.name == f"{name}-static"
    assert all(memory.is_step_group for memory in memories(made))
    added = {name for name in after.items() - before.items() if not name[0].endswith(".value")}
    assert added == {(one, after[one]) for one in reads(made) - {*before}}
    assert {name.rpartition(".")[0] for name in after.keys() - before.keys() - reads(made)} <= {
        f"{layer.path}.{node.name}"
        for layer in spec.system.model.layers
        for node in layer.block.nodes.values()
        if isinstance(node, Read) and node.query is None
    }
    assert Spec.from_sources({"s.yaml": made.resolved_yaml()}, "s.yaml").system.model is not None


@pytest.mark.parametrize("name", TINY)
def test_a_static_model_remembers_nothing_but_the_last_inputs_of_convolutions(name: str):
    module = ng.compile(static(load(name, {"vars.depth": 1}))).double()
    tokens = torch.randint(256, (2, 24))
    cut = random.randrange(1, 24)
    other = torch.cat([tokens[:, :cut], torch.randint(256, (2, 24 - cut))], dim=1)

    out = module(tokens)

    assert torch.equal(out.logits[:, :cut], module(other).logits[:, :cut])
    kept = {key for layer in out.state["layers"].values() for key in layer}
    assert all(key.endswith(".tail") for key in kept)
    assert set(out.state) == {"position", "layers"}


def test_memories_that_only_made_keys_values_and_rates_go_with_what_fed_them():
    spec = load("self-modifying-titans-tiny")
    block = static(spec).system.model.layers[0].block

    assert {*block.memories} == {"M_memory"}
    assert not {"k", "v", "eta", "alpha", "c", "c_v"} & {*block.nodes}
    assert block.memories["M_memory"].net == replace(
        spec.system.model.layers[0].block.memories["M_memory"].net,
        span=block.memories["M_memory"].net.span,
    )
    assert block.memories["M_memory"].heads == 4


def test_a_map_answers_what_the_memory_answers_before_it_has_learned():
    spec = load("self-modifying-titans-tiny", {"vars.depth": 1})
    learning, made = ng.compile(spec).double(), ng.compile(static(spec)).double()
    weights = learning.state_dict()
    made.load_state_dict({name: weights[name] for name in made.state_dict()})
    tokens = torch.randint(256, (3, 12))  # a memory that is asked at the boundary of 8 tokens

    ours, theirs = made(tokens).logits, learning(tokens).logits

    torch.testing.assert_close(ours[:, :8], theirs[:, :8], rtol=1e-10, atol=1e-10)
    assert (ours - theirs)[:, 8:].abs().max() > 1e-4


def model(body: str, width: int = 8) -> Spec:
    levels = "{chunk: 4 tokens, slow: 5 steps}"
    return building.spec_of(building.model_text(body, width, levels))


def test_a_vector_and_a_matrix_that_are_read_as_they_stand_become_constants():
    made = static(
        model("""
        memories:
          V: {net: vector, heads: 2, values: x, rule: {rate: 0.1}}
          M: {heads: 2, keys: x, values: w, rule: {rate: 0.1}, init: zero}
        nodes:
          w: {op: linear, in: x, out: 6}
          v: {read: V, then: [tanh]}
          m: {read: M}
          n: {op: linear, in: m, out: 8}
          out: {op: sum, in: [x, v, n]}
        """)
    )

    assert "memories" not in made.sources[made.path]
    assert shapes(made)["0.b.v.value"] == (8,)
    assert shapes(made)["0.b.m.value"] == (6 * 8 // 2,)
    assert "0.b.w.weight" not in shapes(made)


def test_a_memory_of_zeros_or_of_fixed_numbers_becomes_a_map_that_learns():
    made = static(
        model("""
        memories:
          A: {keys: x, values: x, init: zero}
          B: {keys: x, values: x, init: {kind: fixed, std: 0.3}}
          C: {keys: x, values: x, init: {kind: from, memory: B}}
          D: {keys: x, values: x, init: identity}
          E: {keys: x, values: x, init: {kind: from, memory: F}}
          F: {keys: x, values: x, init: {kind: learned, std: 0.2}}
        nodes:
          a: {read: A, query: x}
          b: {read: B, query: x}
          c: {read: C, query: x, at: before}
          d: {read: D, query: x}
          e: {read: E, query: x}
          out: {op: sum, in: [x, a, b, c, d, e]}
        """)
    )
    starts = {one.name: (one.init, one.trained, round(one.std, 3)) for one in _states(made)}

    assert starts == {
        "0.b.A.W0": ("normal", True, 0.354),
        "0.b.B.W0": ("normal", True, 0.3),
        "0.b.C.W0": ("normal", True, 0.3),
        "0.b.D.W0": ("identity", True, 0.354),
        "0.b.E.W0": ("normal", True, 0.2),
    }


def _states(spec: Spec) -> list[ng.parameters.ParameterSpec]:
    return [one for one in parameter_table(spec.system) if one.role == "state"]


def test_what_is_tied_to_a_node_that_goes_shares_its_parameters_still():
    made = static(
        model("""
        memories:
          M: {keys: k, values: x}
        nodes:
          k: {op: gain, in: x, init: 0.5}
          q: {op: gain, in: x, tie: k}
          r: {op: gain, in: y, tie: q}
          y: {read: M, query: q}
          out: {op: sum, in: [y, r]}
        """)
    )
    gains = [one for one in parameter_table(made.system) if one.name.endswith(".gain")]

    assert [(one.name, one.value, one.tied) for one in gains] == [("0.b.q.gain", 0.5, True)]


def test_inner_blocks_lose_the_inputs_that_only_fed_writes_and_differ_by_width():
    text = """
    nestgraph: 1
    name: inner
    blocks:
      store:
        inputs: [key, ask, value]
        memories: {M: {keys: key, values: value, init: zero}}
        nodes: {out: {read: M, query: ask}}
      layer:
        nodes:
          narrow: {op: linear, in: x, out: 4}
          key: {op: linear, in: x}
          a: {block: store, in: [x, x, narrow]}
          b: {block: store, in: [key, x, key]}
          wide: {op: linear, in: a, out: 8}
          out: {op: sum, in: [x, b, wide]}
    model: {embed: {vocab: 5, width: 8}, stack: [{block: layer}]}
    """
    made = static(building.spec_of(text))

    assert {name: shape for name, shape in shapes(made).items() if "layer" in name} == {
        "0.layer.a.M.W0": (1, 4, 8),
        "0.layer.b.M.W0": (1, 8, 8),
        "0.layer.wide.weight": (8, 4),
    }
    assert "inputs: [ask]" in made.sources[made.path]


def test_files_that_a_base_in_another_folder_names_are_named_still(tmp_path: Path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "slow.yaml").write_text(building.SGD)
    text = """
    memories: {M: {keys: x, values: x}, N: {keys: x, values: x, init: {kind: from, memory: F}},
               F: {keys: x, values: x, init: {kind: checkpoint, path: start.pt}}}
    nodes: {m: {read: M, query: x}, n: {read: N, query: x}, out: {op: sum, in: [x, m, n]}}
    """
    base = building.model_text(text, 8, "{}") + "\ntraining: {optimizer: slow}\n"
    (tmp_path / "base" / "base.yaml").write_text(base)
    mine = tmp_path / "mine.yaml"
    mine.write_text("nestgraph: 1\nname: mine\nextends: base/base\n")

    made = static(load(mine))

    optimizer, (start,) = made.system.training.system, start_paths(made.system).values()
    assert optimizer is not None
    assert optimizer.name == "sgd"
    assert start.resolve() == tmp_path / "base" / "start.pt"
    assert memories(made)[1].init.keys == ("<n>.b.F",)


def test_a_spec_without_memories_that_learn_in_context_is_refused():
    with pytest.raises(SpecError, match="NG955 no memory of `test` learns in context"):
        static(model("nodes: {out: {op: linear, in: x}}"))
    with pytest.raises(SpecError, match="NG955 `m3` is an optimizer"):
        static(load("m3"))


@settings(max_examples=25)
@given(strategies.specs())
def test_any_spec_has_a_static_counterpart(drawn: dict[str, object]):
    spec = building.spec_of(strategies.as_yaml(drawn))
    if all(memory.is_step_group for memory in memories(spec)):
        return
    made = static(spec)

    assert {warning.code for warning in made.warnings} <= {
        "NG403"
    }  # an item of the stack may need no input
    assert all(memory.is_step_group for memory in memories(made))


@settings(max_examples=25)
@given(field_draws.models())
def test_any_spec_that_checks_has_a_static_counterpart_that_checks(drawn: dict[str, object]):
    try:
        spec = building.spec_of(strategies.as_yaml(drawn))
    except SpecError:
        return
    if any(not memory.is_step_group for memory in memories(spec)):
        assert all(memory.is_step_group for memory in memories(static(spec)))


@pytest.mark.parametrize("control", [static, rates_off])
def test_no_map_of_a_control_stands_still_for_ever(control) -> None:
    """A last layer of zeros, which writes would move, before a map of zeros has no gradient."""
    sizes = {"vars.depth": 1, "vars.width": 16, "vars.heads": 2, "vars.chunk": 2}
    made = control(load("hope-tiny", {**sizes, "training.optimizer": "adamw"}))
    module = ng.compile(made)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    tokens = torch.randint(256, (2, 9))
    for _ in range(3):
        optimizer.zero_grad()
        module.loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
        optimizer.step()
    still = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    asked = ("a.M_memory.W0", "a.M_memory.W1", "a.o.weight", "a.q.weight")
    assert not [name for name in still if name.endswith(asked)]
