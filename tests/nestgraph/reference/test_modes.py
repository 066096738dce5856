"""What slower levels see through writes: `gradient` full, first_order, none."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from nestgraph.reference import Reference

WIDTH, HEADS, CHUNK = 4, 2, 2
MODES = ("full", "first_order", "none")
LEVELS = "{pair: 2 tokens, four: 4 tokens}"
h = 1e-6  # of differences

BLOCK = """
memories:
  M:
    net: {kind: mlp, layers: 2, expansion: 1, activation: tanh, residual: true, bias: true}
    heads: 2
    level: pair
    keys: k
    values: x
    rule: {rate: 0.3, retain: 0.9, momentum: 0.5, MORE}
    gradient: MODE
nodes:
  k: {op: linear, in: x}
  q: {op: linear, in: x}
  out: {read: M, query: q, at: AT}
"""
MORE = ("erase: layers, implicit: true", "mirror: softmax, reduce: mean")


def block(mode, at, more):
    return BLOCK.replace("MODE", mode).replace("AT", at).replace("MORE", more)


def trained(reference):
    return {n: p for n, p in reference.named_parameters() if ".0.b." in n}


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("at", ["before", "after", "boundary"])
def test_modes_differ_in_the_gradient_and_nowhere_else(make_system, seed, agree, at, more):
    tokens = torch.randint(8, (2, 7))
    outputs = []
    for mode in MODES:
        reference = Reference(make_system(block(mode, at, more), WIDTH, LEVELS), seed)
        reference.weights.get_parameter("embed.weight").data *= 30
        outputs.append(reference(tokens))
    for output in outputs[1:]:
        agree(output.logits, outputs[0].logits)
        for name, tensor in outputs[0].state.items():
            assert torch.allclose(output.state[name].double(), tensor.double(), atol=1e-12)


def test_only_full_is_the_slope_of_the_whole_run(make_system, seed):
    """Central differences of the score, along one direction through all parameters."""
    found = {}
    for mode in MODES:
        reference = Reference(make_system(block(mode, "after", MORE[0]), WIDTH, LEVELS), seed)
        reference.weights.get_parameter("embed.weight").data *= 30
        torch.manual_seed(seed)
        tokens, mix = torch.randint(8, (2, 7)), torch.randn(2, 7, 96, dtype=torch.float64)
        wanted = trained(reference)
        way = {n: torch.randn_like(p) for n, p in wanted.items()}

        def score(moved, run=reference, tokens=tokens, mix=mix):
            return (functional_call(run, moved, (tokens,)).logits * mix).sum()

        slopes = torch.autograd.grad(score(wanted), list(wanted.values()), allow_unused=True)
        pairs = zip(way.values(), slopes, strict=True)
        found[mode] = sum((w * g).sum() for w, g in pairs if g is not None).item()
        ahead, behind = (
            score({n: p.detach() + step * way[n] for n, p in wanted.items()}) for step in (h, -h)
        )
        found["differences"] = ((ahead - behind) / (2 * h)).item()
    wanted = found["differences"]
    assert abs(found["full"] - wanted) < 1e-6 * abs(wanted)
    for one, other in (("first_order", "full"), ("none", "full"), ("none", "first_order")):
        assert abs(found[one] - found[other]) > 1e-4 * abs(wanted)


LINEAR = """
memories:
  M: {heads: 2, level: pair, keys: k, values: x, gradient: MODE,
      rule: {rate: eta, retain: 0.9, momentum: 0.5, erase: key, reduce: one, RESET
nodes:
  k: {op: linear, in: x}
  q: {op: linear, in: x}
  eta: {op: mean, in: x, heads: 2, then: [bias, sigmoid]}
  one: {op: linear, in: x, out: 1, then: [sigmoid]}
  out: {read: M, query: q, at: AT}
"""


@pytest.mark.parametrize("reset", [None, 4])
@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize("mode", ["first_order", "none"])
def test_the_start_is_trained_through_the_identity(make_system, seed, agree, mode, at, reset):
    """y_t = θ_t q_t with θ_t = Θ_0 + a fixed displacement, so ∂/∂Θ_0 is Σ_t mix_t q_tᵀ.

    With `none` only until the first tick, and until the next one behind a reset.
    """
    text = LINEAR.replace("MODE", mode).replace("AT", at)
    text = text.replace("RESET", "}, reset: four}" if reset else "}}")
    reference = Reference(make_system(text, WIDTH, LEVELS), seed)
    named = reference.weights.named()
    named["embed.weight"].data *= 30
    tokens, mix = torch.randint(8, (2, 7)), torch.randn(2, 7, 96, dtype=torch.float64)
    (reference(tokens).logits * mix).sum().backward()

    seen = range(7)
    if mode == "none":
        seen = [t for t in seen if (t % reset if reset else t) < CHUNK]
    back = (mix @ named["head.weight"]).unflatten(-1, (HEADS, -1))[:, seen]
    x = named["embed.weight"][tokens]
    q = (x @ named["0.b.q.weight"].T).unflatten(-1, (HEADS, -1))[:, seen]
    agree(named["0.b.M.W0"].grad, torch.einsum("bthv,bthk->hvk", back, q).detach())
    for name in ("k.weight", "one.weight", "eta.then0.bias"):  # only writes ask for these
        assert named[f"0.b.{name}"].grad is None
    assert named["0.b.q.weight"].grad is not None


def test_full_reaches_what_writes_ask_for(make_system, seed):
    text = LINEAR.replace("MODE", "full").replace("AT", "after").replace("RESET", "}}")
    reference = Reference(make_system(text, WIDTH, LEVELS), seed)
    reference(torch.randint(8, (2, 7))).logits.square().sum().backward()
    for name in ("k.weight", "one.weight", "eta.then0.bias"):
        assert reference.weights.named()[f"0.b.{name}"].grad.norm() > 0


def test_memories_of_other_modes_are_seen_through_each_other(make_system, seed):
    """A first-order memory stops what its own writes were given, not what its reads are."""
    text = """
    memories:
      A: {keys: x, values: x, rule: {rate: 0.3}, gradient: none}
      B: {keys: y, values: x, rule: {rate: 0.3}}
    nodes:
      q: {op: linear, in: x}
      y: {read: A, query: q}
      out: {read: B, query: x}
    """
    reference = Reference(make_system(text, WIDTH), seed)
    reference(torch.randint(8, (2, 5))).logits.square().sum().backward()
    assert reference.weights.named()["0.b.q.weight"].grad.norm() > 0


@pytest.mark.parametrize("mode", ["first_order", "none"])
def test_what_a_write_leaves_has_no_way_back(make_system, seed, mode):
    """Only the anchor has: Θ_0 through the identity."""
    text = LINEAR.replace("MODE", mode).replace("AT", "after").replace("RESET", "}}")
    state = Reference(make_system(text, WIDTH, LEVELS), seed)(torch.randint(8, (2, 3))).state
    for part in ("A0", "S0", "share"):
        assert not state[f"0.b.M.{part}"].requires_grad
    assert state["0.b.M.anchor0"].requires_grad == (mode == "first_order")
