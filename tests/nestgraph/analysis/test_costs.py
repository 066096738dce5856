"""Costs by formula, against the numbers of a naive run, the parameter table and real states."""

from __future__ import annotations

import itertools

import pytest
import torch
from building import spec_of
from torch.utils.flop_counter import FlopCounterMode

from nestgraph.analysis.costs import costs, level_costs, total
from nestgraph.analysis.online_memories import online_memories
from nestgraph.analysis.parameters import parameter_table
from nestgraph.analysis.support import unsupported
from nestgraph.compiler import compile_model
from nestgraph.compiler.cost import measure
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.reference import Reference

TINY = [name for name in zoo.names() if name.endswith("-tiny")]
RUNNING = [name for name in TINY if not unsupported(load(name).system)]
# All of a spec's layers, or of its groups of them, are alike.
SHALLOW, REPEATED = {"vars.depth": 1}, {"vars.depth": 2}

SPEC = """
nestgraph: 1
name: test
levels: {chunk: 4 tokens}
blocks:
  b:
    memories:
      M: {net: NET, heads: 2, level: chunk, keys: k, values: v, objective: OBJECTIVE}
    nodes:
      k: {op: linear, in: x, out: 8}
      v: {op: linear, in: x, out: 6}
      y: {read: M, query: k}
      out: {op: linear, in: y, out: 8}
model: {embed: {vocab: 5, width: 8}, stack: [{block: b}], head: {tie: true}}
training: {context: 12}
"""


def small(net: str = "linear", objective: str = "l2") -> Spec:
    return spec_of(SPEC.replace("NET", net).replace("OBJECTIVE", objective))


@pytest.mark.parametrize("name", zoo.names())
def test_parameters_add_up_to_the_table(name: str) -> None:
    system = load(name).system
    sizes = sum(spec.size for spec in parameter_table(system))
    assert total(system).parameters == sizes
    assert sum(cost.parameters for _, cost in level_costs(system)) == sizes


@pytest.mark.parametrize("name", zoo.names())
def test_the_levels_add_up_to_the_whole(name: str) -> None:
    system = load(name).system
    levels = [cost for _, cost in level_costs(system)]
    assert sum(cost.flops for cost in levels) == total(system).flops
    assert sum(cost.state for cost in levels) == total(system).state


@pytest.mark.parametrize("name", RUNNING)
def test_state_bytes_are_those_of_the_state_that_a_compiled_model_keeps(name: str) -> None:
    system = load(name, set=REPEATED).system
    model = compile_model(system)
    tokens = torch.randint(system.model.vocab, (1, system.training.context))
    # Memories that are reset at the last token are at their fullest just before it.
    kept = []
    for seen in (tokens, tokens[:, :-1]):
        state = model.flat_state(model(seen).state)
        del state["position"]
        # What an open period keeps for its gradient goes with the period.
        own = [tensor for name, tensor in state.items() if not name.startswith("open.")]
        kept.append(sum(tensor.numel() for tensor in own))
    assert total(system).state == max(kept)


@pytest.mark.parametrize("objective", ["l2", "dot"])
@pytest.mark.parametrize("net", ["linear", "{kind: mlp, layers: 3, expansion: 2}"])
def test_flops_of_a_memory_are_those_of_its_definition(net: str, objective: str) -> None:
    spec = small(net, objective)
    assert total(spec.system).flops == pytest.approx(by_hand(spec), rel=1e-12)


def test_flops_of_attention_count_the_positions_that_it_sees() -> None:
    text = SPEC.replace("NET", "{kind: attention, window: 3}")
    spec = spec_of(text.replace("level: chunk, ", "").replace(", objective: OBJECTIVE", ""))
    assert total(spec.system).flops == pytest.approx(by_hand(spec), rel=1e-12)
    assert costs(spec.system)["0.b/M"].state == 2 * (4 + 3) * 3


def by_hand(spec: Spec) -> float:
    """Return FLOPs a token by hand: every matrix of the definition, written out."""
    width, vocab, time, heads, d_k, d_v = 8, 5, 12, 2, 4, 3
    flows = 2 * 8 * 8 + 2 * 8 * 6 + 2 * 6 * 8 + 2 * width * vocab
    memory = spec.system.model.layers[0].block.memories["M"]
    if memory.net.kind == "attention":
        seen = sum(min(3, position) for position in range(1, time + 1)) / time
        return flows + 2 * heads * (d_k + d_v) * seen
    widths = [d_k, d_v] if memory.net.kind == "linear" else [d_k, 8, 8, d_v]
    matrices = [heads * a * b for a, b in itertools.pairwise(widths)]
    read = sum(2 * w for w in matrices)
    forward = sum(2 * w for w in (matrices[:-1] if memory.objective.kind == "dot" else matrices))
    backward = sum(2 * w for w in matrices[1:])
    return flows + read + forward + backward + sum(2 * w for w in matrices)


def test_ops_are_counted_as_a_real_run_counts_them() -> None:
    """A transformer is all products: what the meta device counts, less attention's other half."""
    system = load("transformer-tiny").system
    measured, layers = measure(system), len(system.model.layers)
    width, time = system.model.width, system.training.context
    attention = sum(block.block.memories != {} for block in system.model.layers)
    assert layers >= attention > 0
    kinds = [m.net.kind for layer in system.model.layers for m in layer.block.memories.values()]
    unseen = kinds.count("attention") * 4 * width * (time - (time + 1) / 2)
    assert measured.forward / time == total(system).flops + unseen


def test_measuring_leaves_the_numbers_that_a_real_device_counts() -> None:
    system = load("linear-attention-tiny").system
    model = compile_model(system)
    tokens = torch.randint(system.model.vocab, (1, system.training.context))
    with FlopCounterMode(display=False) as counter:
        model(tokens).logits.sum().backward()
    measured = measure(system)
    assert measured.forward + measured.backward == counter.get_total_flops()
    assert measured.parameter_bytes == 4 * total(system).parameters
    assert measured.kept_bytes > 0


@pytest.mark.parametrize("name", RUNNING)
def test_every_shipped_spec_can_be_measured_without_numbers(name: str) -> None:
    system = load(name, set=SHALLOW).system
    cost = measure(system, tokens=24)
    assert cost.tokens == 24
    assert min(cost.backward, cost.forward) > 0
    # Memories that the model's loss moves take their gradients within the forward.
    assert cost.backward > cost.forward or any(True for _ in online_memories(system.model))


def test_a_memory_bears_the_cost_of_its_reads_and_of_its_start() -> None:
    found = costs(small().system)
    memory = found["0.b/M"]
    assert memory.parameters == 2 * 3 * 4
    assert memory.state == 2 * 2 * 3 * 4  # running and anchor
    assert "0.b/y" not in found
    assert found["0.b/k"].parameters == 64
    assert found["embed"].parameters == 5 * 8
    assert found["head"].flops == 2 * 8 * 5


def test_an_optimizer_has_no_cost_of_a_token() -> None:
    system = spec_of("""
        nestgraph: 1
        name: test
        blocks:
          b:
            inputs: [grad, lr]
            memories:
              W: {net: vector, level: step, init: given, rule: {rate: lr},
                  objective: {kind: task, through: grad}}
            nodes: {}
        optimizer: [{for: all, block: b}]
    """).system
    assert costs(system) == {}
    assert total(system).flops == 0


def test_the_reference_has_as_many_parameters() -> None:
    spec = small("{kind: mlp, norm: none}")
    reference = Reference(spec.system, seed=0, dtype=torch.float64)
    named = reference.weights.named()
    assert sum(p.numel() for p in named.values()) == total(spec.system).parameters
