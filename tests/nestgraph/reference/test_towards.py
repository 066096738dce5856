"""Retention towards where a memory started, against recurrences written by hand."""

from __future__ import annotations

import pytest
import torch
from by_hand import outer, runs, times

HEADS, WIDTH, CHUNK = 2, 6, 3

BLOCK = """
memories:
  G: {heads: 2, keys: k, values: v}
  M: {heads: 2, level: LEVEL, keys: k, values: v, objective: OBJECTIVE, rule: {RULE}, init: INIT}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x, out: 4}
  head: {op: linear, in: x, out: 2, then: [sigmoid]}
  cell: {op: linear, in: x, out: 12, then: [sigmoid]}
  y: {read: M, query: q}
  out: {op: linear, in: y, out: 6}
"""


def block(rule, level="token", objective="l2", init="learned"):
    text = BLOCK
    words = {"RULE": rule, "LEVEL": level, "OBJECTIVE": objective, "INIT": init}
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def flows(w, x):
    return (runs(x @ w[f"{name}.weight"].T, HEADS) for name in "qkv")


def sigmoid(w, x, name):
    return runs((x @ w[f"{name}.weight"].T).sigmoid(), HEADS)


def finish(w, answers):
    return torch.stack(answers, 1).flatten(2) @ w["out.weight"].T


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("init", ["learned", "{kind: from, memory: G}", "identity"])
def test_what_is_forgotten_is_what_was_written(bench, flow, held, init, first):
    """A ← A₀ + α (A − A₀) − ρ (R k) kᵀ + S, with a momentum that fades to 0."""
    rule = "rate: 0.3, momentum: 0.6, erase: {where: key, rate: 0.2}"
    rule += ", retain: {flow: head, towards: init}"
    rule += ", retain_first: true" if first else ""
    starts = {"learned": "M.W0", "{kind: from, memory: G}": "G.W0"}

    def by_hand(w, x):
        q, k, v = flows(w, x)
        alpha = sigmoid(w, x, "head")[..., None]
        start = w[starts[init]] if init in starts else torch.eye(2, 3, dtype=x.dtype)
        start = a = anchor = start.expand(2, 2, -1, -1)
        s, kept, answers = torch.zeros_like(a), torch.ones_like(alpha[:, 0]), []
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                anchor, kept = a, torch.ones_like(kept)
            kept = kept * alpha[:, t]
            seen = start + kept * (anchor - start) if first else anchor
            s = 0.6 * s - 0.3 * outer(times(seen, k[:, t]) - v[:, t], k[:, t])
            left = start + alpha[:, t] * (a - start)
            a = left - 0.2 * outer(times(left if first else a, k[:, t]), k[:, t]) + s
            answers.append(times(a, q[:, t]))
        return finish(w, answers), {"M.A0": a, "M.anchor0": anchor}

    made = bench(block(rule, "chunk", init=init), WIDTH, "{chunk: 3 tokens}")
    held(made, by_hand, 0.5 * flow(2, 8, WIDTH))


def test_every_cell_has_its_own_way_back(bench, flow, held):
    def by_hand(w, x):
        q, k, v = flows(w, x)
        alpha, start = sigmoid(w, x, "cell").unflatten(-1, (2, 3)), w["M.W0"]
        a, answers = start.expand(2, -1, -1, -1), []
        for t in range(x.shape[1]):
            a = start + alpha[:, t] * (a - start) + outer(v[:, t], k[:, t])
            answers.append(times(a, q[:, t]))
        return finish(w, answers), {"M.A0": a}

    rule = "retain: {flow: cell, per: cell, towards: init}"
    held(bench(block(rule, objective="dot"), WIDTH), by_hand, 0.7 * flow(2, 8, WIDTH))


@pytest.mark.parametrize("number", ["0.8", "[0.8, 0.5]"])
def test_a_start_of_zero_is_pulled_to_zero(bench, flow, number):
    x = 0.5 * flow(2, 8, WIDTH)
    pulled = block(f"retain: {{number: {number}, towards: init}}", init="zero")
    plain = block(f"retain: {number}", init="zero")
    one, other = bench(pulled, WIDTH), bench(plain, WIDTH)
    for name, parameter in other.reference.weights.named().items():
        parameter.data = one.reference.weights.named()[name].data

    torch.testing.assert_close(one(x), other(x), rtol=1e-12, atol=1e-12)
