"""The surprise of memories against gradients written out by hand."""

from __future__ import annotations

import math

import torch
from building import spec_of

from nestgraph.api import reference
from nestgraph.reference.surprise import surprises

SPEC = """
nestgraph: 1
name: test
levels: {chunk: 3 tokens}
blocks:
  b:
    memories:
      M: {heads: 2, level: chunk, keys: k, values: v, rule: {rate: 0.3, retain: 0.9}, init: learned}
      D: {heads: 2, level: chunk, keys: k, values: v, objective: dot, init: zero}
    nodes:
      k: {op: linear, in: x}
      v: {op: linear, in: x}
      y: {read: M, query: k, at: boundary}
      z: {read: D, query: k, at: boundary}
      out: {op: sum, in: [x, y, z]}
model:
  embed: {vocab: 16, width: 8}
  stack: [{block: b}]
"""


def test_it_is_the_norm_of_the_gradient_at_the_last_tick() -> None:
    model = reference(spec_of(SPEC))
    tokens = torch.randint(16, (2, 7))

    found = surprises(model, tokens)

    weights = model.weights.named()
    with torch.no_grad():
        x = weights["embed.weight"][tokens]
        k, v = ((x @ weights[f"0.b.{name}.weight"].mT).unflatten(-1, (2, 4)) for name in "kv")
        state = weights["0.b.M.W0"].expand(2, 2, 4, 4)
        anchor, squares = state, []
        for t in range(7):
            miss = torch.einsum("bhed,bhd->bhe", anchor, k[:, t]) - v[:, t]
            gradient = torch.einsum("bhe,bhd->bhed", miss, k[:, t])
            squares.append(gradient.square().sum((1, 2, 3)))
            state = 0.9 * state - 0.3 * gradient
            if t % 3 == 2:
                anchor = state
        by_l2 = torch.stack(squares).mean().sqrt()
        # of -<answer, value> it is the outer product of value and key, whatever the weights
        by_dot = (v.square().sum(-1) * k.square().sum(-1)).sum(-1).mean().sqrt()
    assert set(found) == {"0.b.M", "0.b.D"}
    assert math.isclose(found["0.b.M"], float(by_l2), rel_tol=1e-9)
    assert math.isclose(found["0.b.D"], float(by_dot), rel_tol=1e-9)
