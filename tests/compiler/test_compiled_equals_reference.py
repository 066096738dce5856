"""What compiled models promise: the reference's numbers, in any split, and no look ahead.

Tolerances: against the reference ‖a - b‖ <= 1e-8 max(‖b‖, 1) in float64 (`TOLERANCE`), some six
digits above the rounding that a few hundred products leave; between two ways through the same
kernels 1e-10.
"""

import functools

import pytest
import torch
from building import model_of
from torch import Tensor

from nestgraph.compiler import compile_model, plan
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import System

SMALL = {"width": 16, "heads": 4, "depth": 1, "vocab": 24}
COMPILED = tuple(family.name for family in zoo.families())
SMALL = {"width": 16, "heads": 2, "depth": 2, "vocab": 24}
TICKS = {"fast": 4, "mid": 8, "slow": 16}
CLOSE = 1e-10
LENGTH = 21

SELF_MODIFYING = """
memories:
  M_k:
    net: {kind: mlp, expansion: 1, residual: true}
    heads: 2
    level: chunk
    keys: k
    values: {self: v}
    rule: {rate: eta, retain: 0.99, momentum: 0.5, erase: key, implicit: true}
  M_v: {like: M_k}
  M: {like: M_k}
nodes:
  c: {op: conv, in: x, width: 3, then: [{op: l2_norm, heads: 2}]}
  k: {read: M_k, query: c, at: boundary, then: [{op: l2_norm, heads: 2}]}
  v: {read: M_v, query: c, at: boundary, then: [{op: l2_norm, heads: 2}]}
  eta: {op: linear, in: x, out: 2, then: [sigmoid, {op: affine, scale: 0.1}]}
  y: {read: M, query: c, at: before}
  out: {op: sum, in: [x, y]}
"""


@functools.cache
def zoo_system(name: str) -> System:
    ticks = TICKS if "cms-" in name or "online" in name else {}  # else no slow level ever moves
    return load(name, set={f"vars.{k}": v for k, v in {**SMALL, **ticks}.items()}).system


def lively(system: System, seed: int = 3) -> CompiledModel:
    """Return a float64 model whose parameters are all away from 0 and 1."""
    model = compile_model(system, seed=seed, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def tokens(model: CompiledModel, batch: int = 2, length: int = LENGTH) -> Tensor:
    return torch.randint(model.program.vocab, (batch, length))


def streamed(
    model: CompiledModel, inputs: Tensor, cuts: list[int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and final state of a sequence that arrives in pieces."""
    state, logits = model.initial_state(len(inputs)), []
    for piece in torch.tensor_split(inputs, cuts, dim=1):
        answer = model(piece, state)
        logits.append(answer.logits)
        state = answer.state
    return torch.cat(logits, 1), model.flat_state(state)


@pytest.mark.parametrize("name", COMPILED)
def test_a_zoo_spec_compiles_to_what_the_reference_computes(name: str) -> None:
    found = verify(zoo_system(name), tokens=LENGTH, spread=0.05)

    assert found.agrees, str(found)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("cuts", [list(range(1, LENGTH)), [7], [3, 4, 12]], ids=str)
def test_a_streamed_sequence_gives_the_numbers_of_the_whole(name: str, cuts: list[int]) -> None:
    model = lively(zoo_system(name))
    inputs = tokens(model)
    whole = model(inputs)

    logits, state = streamed(model, inputs, cuts)

    torch.testing.assert_close(logits, whole.logits, rtol=CLOSE, atol=CLOSE)
    for key, value in model.flat_state(whole.state).items():
        torch.testing.assert_close(state[key], value, rtol=CLOSE, atol=CLOSE, msg=key)


@pytest.mark.parametrize("name", COMPILED)
def test_an_output_never_sees_a_later_token(name: str) -> None:
    model = lively(zoo_system(name))
    inputs = tokens(model)
    later = inputs.clone()
    later[:, 12:] = (later[:, 12:] + 1) % model.program.vocab

    one, other = model(inputs).logits, model(later).logits

    torch.testing.assert_close(one[:, :12], other[:, :12], rtol=CLOSE, atol=CLOSE)
    assert not torch.allclose(one[:, 12:], other[:, 12:])


@pytest.mark.parametrize("name", COMPILED)
def test_rows_of_a_batch_never_mix(name: str) -> None:
    model = lively(zoo_system(name))
    inputs = tokens(model, batch=3)

    together = model(inputs).logits

    for row in range(3):
        alone = model(inputs[row : row + 1]).logits[0]
        torch.testing.assert_close(together[row], alone, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("name", ["hope", "titans-lmm"])
@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_any_chunk_computes_the_token_recurrence_of_the_reference(name: str, chunk: int) -> None:
    """One token at a time, a chunk that does not divide the length, one that outlasts it."""
    small = {f"vars.{key}": value for key, value in SMALL.items()}
    system = load(name, set=small | {"vars.chunk": chunk}).system

    found = verify(system, tokens=LENGTH, spread=0.05)

    assert found.agrees, str(found)


@pytest.mark.parametrize("at", ["after", "before", "boundary"])
@pytest.mark.parametrize("level", ["token", "chunk", "never"])
@pytest.mark.parametrize("net", ["linear", "{kind: mlp, expansion: 1.5, residual: true}"])
@pytest.mark.parametrize("objective", ["dot", "{kind: l2, scale: 2}"])
def test_every_moment_of_a_read_agrees_on_every_level(
    at: str, level: str, net: str, objective: str
) -> None:
    body = f"""
memories:
  M:
    net: {net}
    heads: 2
    level: {level}
    keys: k
    values: v
    objective: {objective}
    rule: {{rate: 0.05, retain: [0.9, 0.97], retain_first: true, erase: {{where: key, rate: 0.2}}}}
nodes:
  q: {{op: linear, in: x, then: [{{op: l2_norm, heads: 2}}]}}
  k: {{op: linear, in: x, then: [{{op: l2_norm, heads: 2}}]}}
  v: {{op: linear, in: x}}
  y: {{read: M, query: q, at: {at}}}
  out: {{op: sum, in: [x, y]}}
"""
    found = verify(model_of(body), tokens=11, spread=0.05)

    assert found.agrees, str(found)


def test_a_self_modifying_loop_with_momentum_and_running_reads_agrees() -> None:
    system = model_of(SELF_MODIFYING)

    found = verify(system, tokens=LENGTH, spread=0.05)

    assert found.agrees, str(found)
    assert [m.kernel for f in plan(system).functions for m in f.memories] == ["anchored_chunk"]


def test_two_heads_are_two_separate_memories() -> None:
    """Channels of one head never reach the answers of the other."""
    body = """
memories:
  M: {net: {kind: mlp, expansion: 1}, heads: 2, level: chunk, keys: k, values: x, rule: {rate: 0.1}}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  out: {read: M, query: k}
"""
    model = lively(model_of(body))
    prepare, initial, run = model._layers["0.b"]
    named = {n.removeprefix("0.b."): p for n, p in model.weights.named().items()}
    w = prepare(named, named["embed.weight"])
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    other = x.clone()
    other[..., 4:] = torch.randn(2, 9, 4, dtype=torch.float64)

    answers = [run(w, z, initial(w, z), 0)[0] for z in (x, other)]

    torch.testing.assert_close(answers[0][..., :4], answers[1][..., :4], rtol=CLOSE, atol=CLOSE)
    assert not torch.allclose(answers[0][..., 4:], answers[1][..., 4:])


def test_several_clocks_in_one_loop_tick_on_the_union_of_their_grids() -> None:
    body = """
memories:
  fast: {net: linear, heads: 2, level: chunk, keys: k, values: v, rule: {rate: 0.1}}
  slow: {net: linear, heads: 2, level: long, keys: k, values: v, rule: {rate: 0.1}}
nodes:
  q: {op: l2_norm, in: x, heads: 2}
  k: {read: slow, query: q, at: boundary, then: [{op: l2_norm, heads: 2}]}
  v: {read: fast, query: q, at: boundary}
  out: {read: fast, query: k}
"""
    system = model_of(body, levels="{chunk: 4 tokens, long: 6 tokens}")

    found = verify(system, tokens=LENGTH, spread=0.05)

    assert found.agrees, str(found)
    (loop,) = plan(system).functions[0].loops
    assert loop.periods == (4, 6)


def test_a_memory_that_nobody_reads_still_moves() -> None:
    body = """
memories:
  seen: {net: linear, heads: 2, keys: k, values: x, rule: {rate: 0.1}}
  unseen: {net: linear, heads: 2, keys: k, values: x, rule: {rate: 0.2}}
  events: {net: attention, heads: 2, keys: k, values: x}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  out: {read: seen, query: k}
"""
    found = verify(model_of(body), tokens=9, spread=0.05)

    assert found.agrees, str(found)
    assert any("unseen.A0" in c.name for c in found.comparisons)


def test_several_reads_of_one_memory_in_a_position_agree() -> None:
    body = """
memories:
  M: {net: linear, heads: 2, keys: k, values: x, objective: l2, rule: {rate: 0.3}}
  A: {net: attention, heads: 2, keys: k, values: x}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  a: {read: M, query: k, at: before}
  b: {read: M, query: a, at: after}
  c: {read: A, query: a, at: before}
  d: {read: A, query: b}
  out: {op: sum, in: [a, b, c, d]}
"""
    model = model_of(body)
    found = verify(model, tokens=9, spread=0.05)

    assert found.agrees, str(found)
    lively_model = lively(model)
    inputs = tokens(lively_model, length=9)
    logits, _ = streamed(lively_model, inputs, [4])
    torch.testing.assert_close(logits, lively_model(inputs).logits, rtol=CLOSE, atol=CLOSE)


def test_attention_whose_events_need_its_answers_runs_token_by_token() -> None:
    body = """
memories:
  A: {net: attention, heads: 2, keys: k, values: v}
nodes:
  q: {op: linear, in: x}
  a: {read: A, query: q, at: before}
  k: {op: linear, in: a, then: [{op: bias, init: 0.1}]}
  v: {op: sum, in: [x, a]}
  b: {read: A, query: x}
  c: {read: A, query: x, at: before}
  out: {op: sum, in: [a, b, c]}
"""
    system = model_of(body)

    found = verify(system, tokens=9, spread=0.05)

    assert found.agrees, str(found)
    (memory,) = plan(system).functions[0].memories
    assert memory.slow
    assert "`a` reads `before`" in memory.why


@pytest.mark.parametrize("net", ["attention", "linear"])
def test_a_memory_asked_inside_of_a_loop_and_behind_it_keeps_one_state(net: str) -> None:
    """`a` is asked where `M` makes its own values; `b` could wait until the loop is over."""
    body = f"""
memories:
  M: {{net: linear, heads: 2, keys: k, values: v, rule: {{rate: 0.3}}, level: chunk}}
  A: {{net: {net}, heads: 2, keys: k, values: x{", rule: {rate: 0.3}" if net == "linear" else ""}}}
nodes:
  k: {{op: l2_norm, in: x, heads: 2}}
  m: {{read: M, query: k, at: boundary}}
  a: {{read: A, query: m}}
  v: {{op: tanh, in: a}}
  b: {{read: A, query: k}}
  c: {{read: A, query: k, at: before}}
  out: {{op: sum, in: [m, b, c]}}
"""
    model = model_of(body, levels="{chunk: 3 tokens}")
    found = verify(model, tokens=9, spread=0.05)

    assert found.agrees, str(found)


def test_attention_that_makes_the_rate_of_the_memory_that_makes_its_values_agrees() -> None:
    body = """
memories:
  M: {net: linear, heads: 2, keys: k, values: x, objective: l2, rule: {rate: eta}}
  A: {net: attention, heads: 2, keys: k, values: v}
nodes:
  k: {op: l2_norm, in: x, heads: 2}
  a: {read: A, query: x, at: before}
  eta: {op: mean, in: a, heads: 2, then: [sigmoid]}
  m: {read: M, query: k, at: boundary}
  v: {op: linear, in: m}
  b: {read: A, query: x}
  c: {read: M, query: x}
  out: {op: sum, in: [b, c]}
"""
    found = verify(model_of(body), tokens=9, spread=0.05)

    assert found.agrees, str(found)
