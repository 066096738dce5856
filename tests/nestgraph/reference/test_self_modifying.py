"""The whole self-modifying block by hand: five memories that make each other's keys and rates."""

from __future__ import annotations

import pytest
import torch

HEADS, D, WIDTH, CHUNK = 2, 4, 8, 3
MAX_RATE = 0.1

BLOCK = """
memories:
  M_k:
    net: {kind: mlp, layers: 2, expansion: 1, activation: silu, residual: true}
    heads: 2
    level: context
    keys: k
    values: {self: v}
    objective: l2
    rule: {rate: eta, retain: alpha, erase: ERASE, implicit: true}
  M_v: {like: M_k}
  M_eta: {like: M_k}
  M_alpha: {like: M_k}
  M_memory: {like: M_k}
nodes:
  u: {op: rms_norm, in: x}
  c: {op: conv, in: u, width: 4, then: [{op: l2_norm, heads: 2}]}
  q: {op: linear, in: c, then: [{op: l2_norm, heads: 2}]}
  k: {read: M_k, query: c, at: boundary, then: [{op: l2_norm, heads: 2}]}
  v: {read: M_v, query: c, at: boundary, then: [{op: l2_norm, heads: 2}]}
  eta:
    read: M_eta
    query: c
    at: boundary
    then: [{op: mean, heads: 2}, sigmoid, {op: affine, scale: 0.1}]
  alpha:
    read: M_alpha
    query: c
    at: boundary
    then: [{op: mean, heads: 2}, {op: bias, init: 8}, sigmoid]
  y: {read: M_memory, query: q, at: boundary}
  gate: {op: linear, in: u, then: [silu]}
  z: {op: rms_norm, in: y, heads: 2}
  g: {op: product, in: [z, gate]}
  o: {op: linear, in: g}
  out: {op: sum, in: [x, o]}
"""

MEMORIES = ("M_k", "M_v", "M_eta", "M_alpha", "M_memory")


def silu(z):
    return z * z.sigmoid()


def silu_slope(z):
    return z.sigmoid() * (1 + z * (1 - z.sigmoid()))


def unit(x):
    return x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt()


def runs(x):
    return x.unflatten(-1, (HEADS, D))


def rms(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def answer(memory, x):
    w_in, w_out = memory
    return x + w_out @ silu(w_in @ x)


def write(running, anchor, k, target, eta, alpha, erase):
    """Return one event: delta gradient descent with the gradient of ½‖M(k) − target‖² at the
    anchor.
    """
    z = anchor[0] @ k
    h = silu(z)
    e = answer(anchor, k) - target
    gradients = (torch.outer(silu_slope(z) * (anchor[1].T @ e), k), torch.outer(e, h))
    new = []
    for layer, (w, g, a) in enumerate(zip(running, gradients, (k, h), strict=True)):
        rate = eta / (1 + eta * a.dot(a))
        erased = {"key": layer == 0, "layers": True, "none": False}[erase]
        new.append(alpha * w - erased * rate * torch.outer(w @ a, a) - rate * g)
    return tuple(new)


@pytest.mark.parametrize("erase", ["key", "layers", "none"])
def test_five_memories_generate_each_other_at_boundaries(bench, flow, agree, erase):
    b = bench(BLOCK.replace("ERASE", erase), WIDTH, "{context: 3 tokens}")
    x = flow(2, 8, WIDTH)
    agree(b(x), torch.stack([one_row(b, row, erase) for row in x]))


def one_row(b, x, erase):
    """Return (time, width) by hand: projections, convolution and norms too."""
    u = rms(x) * b.weight("u.gain")
    padded = torch.cat((torch.zeros(3, WIDTH, dtype=x.dtype), u))
    taps = b.weight("c.weight")
    c = sum(padded[j : j + len(x)] * taps[:, j] for j in range(4))
    c = unit(runs(c))
    q = unit(runs(c.flatten(-2) @ b.weight("q.weight").T))
    bias = b.weight("alpha.then1.bias")

    y = torch.empty_like(q)
    for head in range(HEADS):
        running = {
            name: (b.weight(f"{name}.W0")[head], b.weight(f"{name}.W1")[head]) for name in MEMORIES
        }
        anchor = running
        for t in range(len(x)):
            if t % CHUNK == 0:
                anchor = dict(running)
            seen = c[t, head]
            k = unit(answer(anchor["M_k"], seen))
            v = unit(answer(anchor["M_v"], seen))
            eta = MAX_RATE * answer(anchor["M_eta"], seen).mean().sigmoid()
            alpha = (answer(anchor["M_alpha"], seen).mean() + bias[head]).sigmoid()
            y[t, head] = answer(anchor["M_memory"], q[t, head])
            running = {
                name: write(
                    running[name], anchor[name], k, answer(anchor[name], v), eta, alpha, erase
                )
                for name in MEMORIES
            }
    z = rms(y).flatten(-2) * b.weight("z.gain")
    gate = silu(u @ b.weight("gate.weight").T)
    return x + (z * gate) @ b.weight("o.weight").T
