"""Reads without a query answer a matrix, whoever moves it."""

from __future__ import annotations

import random

import building
import pytest

from nestgraph.compiler.equivalence import verify
from nestgraph.rewriting import static

MEMORIES = {
    "inner": "{heads: 2, keys: k, values: v, rule: {rate: 0.1}}",
    "step": "{heads: 2, net: {kind: linear, out: 4}, level: step, objective: task}",
    "first order": "{heads: 2, net: {kind: linear, out: 4}, level: slow, objective: task,"
    " rule: {rate: 0.1, momentum: 0.5}, gradient: first_order}",
    "erasing": "{heads: 2, net: {kind: linear, out: 4}, level: slow, objective: task,"
    " rule: {rate: 0.1, retain: 0.9, erase: key}, gradient: first_order}",
    "full": "{heads: 2, net: {kind: linear, out: 4}, level: slow, objective: task,"
    " rule: {rate: 0.1}}",
}


def model(kind: str, horizon: str = "") -> str:
    text = f"""
    memories: {{M: {MEMORIES[kind]}}}
    nodes:
      k: {{op: linear, in: x, out: 8, then: [{{op: l2_norm, heads: 2}}]}}
      v: {{op: linear, in: x, out: 4}}
      m: {{read: M, query: k}}
      w: {{read: M}}
      p: {{op: linear, in: w, out: 8, then: [tanh]}}
      n: {{op: linear, in: m, out: 8}}
      out: {{op: sum, in: [x, n, p, o]}}
      o: {{op: linear, in: v, out: 8}}
    """
    written = building.model_text(text, 8, "{chunk: 2 tokens, slow: 4 tokens}")
    return written.replace("stack: [{block: b}]", f"stack: [{{block: b, repeat: 2}}]{horizon}")


@pytest.mark.parametrize(
    ("kind", "horizon"),
    [
        *((kind, "") for kind in MEMORIES),
        ("first order", ", horizon: chunk"),
        ("erasing", ", horizon: chunk"),
    ],
)
def test_a_matrix_that_is_read_as_it_stands_is_the_interpreters(kind: str, horizon: str):
    seed = random.randrange(2**31)
    system = building.spec_of(model(kind, horizon)).system

    verification = verify(system, tokens=11, seed=seed, spread=0.2)

    assert verification.agrees, f"seed {seed}: {verification}"


@pytest.mark.parametrize("kind", ["inner", "full"])
def test_a_map_in_place_of_such_a_memory_is_read_as_it_stands_too(kind: str):
    made = static(building.spec_of(model(kind)))

    assert verify(made.system, tokens=5).agrees
