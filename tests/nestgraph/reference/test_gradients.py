"""Outer gradients, through every inner step, against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from nestgraph.reference import Reference

WIDTH = 4

BLOCK = """
memories:
  M:
    net: {kind: mlp, expansion: 1, activation: silu, residual: true}
    heads: 2
    level: LEVEL
    keys: k
    values: VALUES
    objective: OBJECTIVE
    rule: {rate: eta, RULE}
nodes:
  k: {op: linear, in: x}
  q: {read: M, query: x, at: boundary}
  eta: {op: mean, in: q, heads: 2, then: [sigmoid]}
  y: {read: M, query: q, at: AT}
  out: {op: sum, in: [x, y]}
"""

CASES = {
    "hope": ("pair", "{self: x}", "l2", "retain: eta, erase: layers, implicit: true", "boundary"),
    "titans": ("pair", "x", "l2", "retain: eta, momentum: 0.7", "after"),
    "token by token": ("token", "x", "l2", "erase: key, implicit: true", "before"),
    "retain first": ("pair", "{self: x}", "l2", "retain: eta, retain_first: true", "after"),
    "dot": ("pair", "{self: x}", "dot", "retain: eta, erase: {rate: eta}", "after"),
}


def block(case):
    text = BLOCK
    for name, value in zip(
        ("LEVEL", "VALUES", "OBJECTIVE", "RULE", "AT"), CASES[case], strict=True
    ):
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("case", CASES)
def test_the_outer_gradient_goes_through_every_write(make_system, seed, case):
    check(make_system, block(case), seed)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "sigmoid", "tanh"])
def test_the_outer_gradient_bends_with_every_activation(make_system, seed, activation):
    """It needs the activation's second derivative."""
    check(make_system, block("hope").replace("silu", activation), seed)


def check(make_system, text, seed):
    reference = Reference(make_system(text, WIDTH, "{pair: 2 tokens}"), seed=seed)
    wanted = {n: p for n, p in reference.named_parameters() if ".0.b." in n}
    tokens = torch.randint(8, (2, 4))
    reference.weights.get_parameter("embed.weight").data *= 30  # from 0.02 to near 1
    mix = torch.randn(2, 4, 96, dtype=torch.float64)

    def score(*values):
        given = dict(zip(wanted, values, strict=True))
        return (functional_call(reference, given, (tokens,)).logits * mix).sum()

    assert len(wanted) == 3
    assert torch.autograd.gradcheck(score, tuple(wanted.values()))


def test_targets_of_its_own_are_constant_inside_and_not_outside(make_system, agree, seed):
    """With the self target v̂ = W v held constant, ∂½‖W k − v̂‖²/∂W is (W k − W v) kᵀ."""
    block = """
    memories: {M: {keys: k, values: {self: v}, rule: {rate: 0.5}}}
    nodes:
      k: {op: affine, in: x, scale: 2}
      v: {op: tanh, in: x}
      out: {read: M, query: x}
    """
    reference = Reference(make_system(block, WIDTH), seed=seed)
    x = torch.randn(WIDTH, dtype=torch.float64)
    reference.weights.get_parameter("embed.weight").data[0] = x
    reference.weights.get_parameter("head.weight").data = torch.eye(96, WIDTH, dtype=torch.float64)
    w = reference.weights.named()["0.b.M.W0"]
    logits = reference(torch.zeros(1, 1, dtype=torch.int64)).logits[0, 0, :WIDTH]
    (ours,) = torch.autograd.grad(logits.square().sum(), w)

    k, v = 2 * x, x.tanh()
    free = w[0].detach().requires_grad_()
    by_hand = (free - 0.5 * torch.outer(free @ k - free @ v, k)) @ x
    agree(logits.detach(), by_hand.detach())
    (expected,) = torch.autograd.grad(by_hand.square().sum(), free)
    agree(ours[0], expected)


def test_without_gradients_no_graph_is_kept(make_system, seed):
    reference = Reference(make_system(block("hope"), WIDTH, "{pair: 2 tokens}"), seed=seed)
    with torch.no_grad():
        output = reference(torch.randint(8, (2, 4)))
    assert output.logits.grad_fn is None
    assert all(tensor.grad_fn is None for tensor in output.state.values())
