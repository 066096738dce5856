"""Retention towards the start: every kernel computes it as the interpreter does."""

from __future__ import annotations

import pytest
import torch
from building import system_of
from torch import Tensor

import nestgraph as ng
from nestgraph.compiler import compile_model, plan
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.language.system import System

MODEL = """
nestgraph: 1
name: test
levels: {chunk: 4 tokens, long: 8 tokens}
blocks:
  b:
    memories:
      M: {heads: 2, keys: k, values: v, MEMORY}
    nodes:
      k: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
      q: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
      v: {op: linear, in: x}
      e: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
      r: {op: linear, in: x, out: 2, then: [sigmoid]}
      rv: {op: linear, in: x, then: [sigmoid]}
      a: {op: linear, in: x, out: 2, then: [sigmoid]}
      av: {op: linear, in: x, then: [sigmoid]}
      ac: {op: linear, in: x, out: 32, then: [sigmoid]}
      m: {op: linear, in: x, out: 2, then: [sigmoid, {op: affine, scale: 0.5}]}
      y: {read: M, query: q, at: MOMENT}
      out: {op: sum, in: [x, y]}
model: {embed: {vocab: 11, width: 8}, stack: [{block: b}]}
"""
HEAD, CELL = "retain: {flow: a, towards: init}", "retain: {flow: ac, per: cell, towards: init}"
VALUE = "retain: {flow: av, per: value, towards: init}"
NET = "level: chunk, net: {kind: mlp, layers: 2, expansion: 1, activation: tanh"
# What a memory says, when it is asked, and the kernel that it gets.
CASES = [
    (f"objective: dot, rule: {{{HEAD}}}", "after", "chunked_decay"),
    (f"objective: dot, rule: {{{HEAD}}}, gradient: none", "before", "chunked_decay"),
    (f"rule: {{rate: r, {HEAD}, retain_first: true}}", "after", "chunked_delta"),
    (f"rule: {{rate: r, {HEAD}}}, gradient: first_order", "after", "chunked_delta"),
    (
        f"objective: {{kind: dot, scale: 0.5}}, "
        f"rule: {{rate: r, {HEAD}, erase: key, implicit: true}}",
        "before",
        "chunked_delta",
    ),
    (
        f"objective: {{kind: l2, scale: 2}}, rule: {{rate: 0.2, {HEAD}, erase: key}}",
        "after",
        "chunked_delta",
    ),
    (f"rule: {{rate: {{flow: rv, per: value}}, {VALUE}}}", "after", "diagonal_delta"),
    (f"objective: dot, rule: {{{CELL}}}, init: identity", "after", "selective_scan"),
    (f"rule: {{rate: r, {HEAD}, erase: {{rate: m}}}}", "after", "generic_scan"),
    (f"rule: {{rate: r, {HEAD}, momentum: m}}", "after", "generic_scan"),
    (f"{NET}, bias: true}}, rule: {{rate: r, {HEAD}, momentum: m}}", "after", "anchored_chunk"),
    (f"{NET}}}, rule: {{rate: r, {HEAD}, momentum: m}}", "boundary", "anchored_chunk"),
    (f"{NET}}}, rule: {{rate: r, {HEAD}}}", "boundary", "anchored_chunk"),
    (f"{NET}}}, rule: {{rate: r, {HEAD}, retain_first: true}}", "after", "anchored_chunk"),
    (f"{NET}}}, rule: {{rate: r, {HEAD}, erase: key}}, reset: long", "after", "anchored_chunk"),
    (
        f"{NET}}}, objective: dot, rule: {{rate: r, {HEAD}, erase: layers, implicit: true}}",
        "boundary",
        "anchored_chunk",
    ),
    (
        f"{NET}}}, rule: {{rate: 0.1, {HEAD}, erase: layers, momentum: m, mirror: softmax}}",
        "after",
        "anchored_chunk",
    ),
    (
        f"{NET}}}, objective: {{kind: l2, window: 2}}, gradient: first_order, "
        f"rule: {{rate: 0.1, {HEAD}, erase: key, reduce: mean}}",
        "after",
        "anchored_chunk",
    ),
    (
        f"level: chunk, rule: {{rate: r, {CELL}, erase: {{where: key, key: e, rate: r}}}}",
        "after",
        "anchored_chunk",
    ),
    (
        f"level: chunk, rule: {{{HEAD}, direction: {{kind: newton_schulz, steps: 2}}, step: 0.1}}",
        "after",
        "anchored_chunk",
    ),
]
HOPE = "blocks.self_modifying_titans.memories"
SIZES = {"vars.depth": 1, "vars.width": 16, "vars.heads": 2, "model.embed.vocab": 17}


def system(memory: str, at: str) -> System:
    """Return a model of one memory, which is written as the fields of a mapping."""
    return system_of(MODEL.replace("MEMORY", memory).replace("MOMENT", at))


def lively(of: System) -> CompiledModel:
    model = compile_model(of, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def kernels(of: System) -> list[str]:
    return [m.kernel for f in plan(of).functions for m in f.memories]


@pytest.mark.parametrize(("memory", "at", "kernel"), CASES)
def test_outputs_states_and_gradients_are_the_interpreters(
    memory: str, at: str, kernel: str
) -> None:
    """Those of the start and of the retention among them, also where writes are skipped."""
    of = system(memory, at)

    assert kernels(of) == [kernel]
    found = verify(of, tokens=14, spread=0.1)
    assert found.agrees, str(found)
    if "identity" not in memory:
        assert "gradient 0.b.M.W0" in {one.name for one in found.comparisons}


@pytest.mark.parametrize(("memory", "at", "kernel"), CASES)
def test_pieces_give_the_numbers_of_the_whole(memory: str, at: str, kernel: str) -> None:
    model, inputs = lively(system(memory, at)), torch.randint(11, (2, 13))
    whole, state, parts = model(inputs), model.initial_state(2), list[Tensor]()
    for piece in inputs.tensor_split([1, 6, 7], 1):
        answer = model(piece, state)
        parts.append(answer.logits)
        state = answer.state

    torch.testing.assert_close(torch.cat(parts, 1), whole.logits, rtol=1e-9, atol=1e-9)
    ends = model.flat_state(state)
    for name, tensor in model.flat_state(whole.state).items():
        torch.testing.assert_close(ends[name], tensor, rtol=1e-9, atol=1e-9)


def test_a_memory_that_writes_nothing_stays_at_its_start() -> None:
    """Which a retention that pulls towards zero would lose."""
    net = f"{NET}}}, rule: {{rate: 0, retain: {{number: 0.5, towards: init}}}}"
    model = lively(system(net, "after"))

    state = model.flat_state(model(torch.randint(11, (2, 20))).state)

    for part in "01":
        start = model.weights.named()[f"0.b.M.W{part}"]
        torch.testing.assert_close(state[f"0.b.M.A{part}"], start.expand(2, -1, -1, -1))


@pytest.mark.parametrize(
    ("name", "flow", "memories"),
    [
        ("hope-tiny", "alpha", (f"{HOPE}.M_k", f"{HOPE}.M_memory")),
        ("titans-lmm-tiny", "keep", ("blocks.lmm.memories.M",)),
    ],
)
def test_hope_and_titans_keep_their_kernels(
    name: str, flow: str, memories: tuple[str, ...]
) -> None:
    pull = {f"{one}.rule.retain": f"{{flow: {flow}, towards: init}}" for one in memories}
    plain = ng.load(name, set=SIZES).system
    pulled = ng.load(name, set={**SIZES, **pull}).system

    assert kernels(pulled) == kernels(plain)
    found = verify(pulled, tokens=20, spread=0.05)
    assert found.agrees, str(found)
