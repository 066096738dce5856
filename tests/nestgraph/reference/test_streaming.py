"""Every part of a state goes from one piece of a sequence to the next."""

from __future__ import annotations

import pytest
import torch

from nestgraph.language.spec import Spec
from nestgraph.reference import Reference

TIME = 11
SPEC = """
nestgraph: 1
name: everything-else
levels: {pair: 2 tokens, chunk: 3 tokens, four: 4 tokens, long: 8 tokens}
blocks:
  b:
    memories:
      A: {net: {kind: attention, window: 3}, heads: 2, keys: [k, e], values: [x, k],
          init: {kind: learned, entries: 2}, reset: four}
      M:
        net: {kind: mlp, expansion: 1, residual: true, bias: true, norm: layer_norm}
        heads: 2
        level: chunk
        keys: [k, e]
        values: [x, k]
        objective: {kind: huber, delta: eta, window: 4}
        rule: {rate: eta, retain: 0.9, momentum: 0.5, erase: layers, implicit: true, reduce: mean,
               direction: newton_schulz, step: 0.1, mirror: {kind: lq, q: 3}}
        reset: long
      N:
        heads: 2
        level: pair
        keys: k
        values: {self: e}
        objective: {kind: lp, p: 3, window: 3}
        rule: {rate: {flow: cell, per: cell}, retain: {flow: key, per: key}, retain_first: true,
               erase: {key: e, rate: {flow: value, per: value}}, reduce: eta}
        gradient: first_order
        reset: long
      V: {net: vector, heads: 2, level: four, values: k, objective: {kind: l2, window: 3},
          rule: {rate: 0.2, momentum: 0.3, retain: 0.9, retain_first: true}, gradient: none}
      F: {net: linear, heads: 2, level: four, keys: k, values: x, rule: {rate: 0.1},
          init: {kind: from, memory: N}, reset: long}
      I: {heads: 2, level: never, keys: k, values: x, init: identity, reset: chunk,
          rule: {rate: 0.2, reduce: mean}}
    nodes:
      u: {op: rms_norm, in: x}
      k: {op: conv, in: u, width: 3, then: [{op: l2_norm, heads: 2}]}
      e: {op: conv, in: u, width: 3, tie: k, then: [tanh, {op: l2_norm, heads: 2}]}
      eta: {op: mean, in: u, heads: 2, then: [sigmoid, {op: affine, scale: 0.2}]}
      key: {op: sigmoid, in: k}
      value: {op: affine, in: key, scale: 0.2}
      cell: {op: repeat, in: value, times: 4}
      p: {op: position, since: chunk}
      t: {op: lookup, in: p, size: 3, init: 1, then: [{op: tile, times: 8}]}
      q: {op: product, in: [u, t]}
      a: {read: A, query: q}
      m: {read: M, query: q}
      m_before: {read: M, query: q, at: before}
      n: {read: N, query: k}
      whole: {read: N, at: before}
      w: {op: linear, in: whole, out: 8}
      v: {read: V}
      f: {read: F, query: k}
      i: {read: I, query: k}
      out: {op: sum, in: [x, a, m, m_before, n, w, v, f, i]}
model:
  embed: {vocab: 17, width: 8}
  stack: [{block: b}]
"""


@pytest.fixture
def model(seed):
    system = Spec.from_sources({"spec.yaml": SPEC}, "spec.yaml", {}).system
    reference = Reference(system, seed=seed)
    for parameter in reference.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return reference


@pytest.fixture
def tokens(seed):
    return torch.randint(17, (3, TIME))


def same(a, b):
    assert a.shape == b.shape
    assert (a.double() - b.double()).norm() <= 1e-12 * b.double().norm().clamp(min=1)


@pytest.mark.parametrize("cuts", [(5,), (4, 8), tuple(range(1, TIME))])
@torch.no_grad()
def test_a_sequence_in_pieces_gives_the_same_numbers(model, tokens, cuts):
    whole = model(tokens)
    state, pieces = None, []
    for start, end in zip((0, *cuts), (*cuts, TIME), strict=True):
        piece = model(tokens[:, start:end], state)
        pieces.append(piece.logits)
        state = piece.state
    same(torch.cat(pieces, 1), whole.logits)
    assert state.keys() == whole.state.keys()
    for name, tensor in whole.state.items():
        same(state[name], tensor)


@torch.no_grad()
def test_a_state_keeps_its_shapes(model, tokens):
    """Except attention's, which fills up to its window and empties at a reset."""
    first, last = model.initial_state(3), model(tokens).state
    assert first.keys() == last.keys()
    for name, tensor in first.items():
        if ".A." not in name:
            assert last[name].shape == tensor.shape, name
    assert last["0.b.A.k"].shape == (3, 2, 6, 4)
    assert last["0.b.N.kept"].shape == (3, 2, 4)
    assert last["0.b.N.window_rate"].shape == (3, 2, 2, 16)
    assert last["0.b.M.window_delta"].shape == (3, 2, 6)
    assert last["0.b.M.share"].shape == (3, 2)


@torch.no_grad()
def test_what_comes_later_changes_nothing_before(model, tokens):
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 17
    ours, theirs = model(tokens).logits, model(changed).logits
    assert torch.equal(ours[:, :6], theirs[:, :6])
    assert (ours[:, 6:] - theirs[:, 6:]).abs().amax((0, 2)).min() > 1e-6


@torch.no_grad()
def test_rows_of_a_batch_never_mix(model, tokens):
    together = model(tokens)
    alone = model(tokens[1:2])
    same(together.logits[1:2], alone.logits)
    for name, tensor in alone.state.items():
        if name != "position":
            same(together.state[name][1:2], tensor)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_memories_learn_without_an_outer_gradient_too(model, tokens, mode):
    trained = model(tokens)
    with mode():
        tested = model(tokens)
        continued = model(tokens, tested.state)
    same(tested.logits, trained.logits.detach())
    same(continued.logits, model(tokens, trained.state).logits.detach())
    assert not any(tensor.requires_grad for tensor in tested.state.values())


def test_the_gradient_of_all_of_it_is_finite(model, tokens):
    model(tokens).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.norm() > 0, name
