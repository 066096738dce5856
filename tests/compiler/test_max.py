"""The larger of several flows, as a flow, as a rate and as a retention."""

from __future__ import annotations

import torch

import nestgraph as ng
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.ir import Op
from nestgraph.compiler.sign_analysis import is_positive
from nestgraph.language.spec import Spec

TEXT = """\
nestgraph: 1
name: m
vars: {width: 8, heads: 2}
levels: {chunk: 4 tokens}
blocks:
  layer:
    memories: {M: {heads: $heads, keys: k, values: x, rule: {rate: r, retain: a}}}
    nodes:
      k: {op: linear, in: x, then: [{op: l2_norm, heads: $heads}]}
      p: {op: linear, in: x, out: $heads, then: [sigmoid]}
      q: {op: linear, in: x, out: $heads, then: [sigmoid]}
      z: {op: linear, in: x, out: $heads}
      r: {op: max, in: [p, q]}
      a: {op: max, in: [z, q, p]}
      y: {read: M, query: k}
      m: {op: max, in: [x, y, x]}
      out: {op: sum, in: [x, m]}
model: {embed: {vocab: 16, width: $width}, stack: [{block: layer, repeat: 2}]}
"""


def spec_of(text: str = TEXT) -> Spec:
    return Spec.from_sources({"m.yaml": text}, "m.yaml")


def test_compiled_and_interpreted_take_the_same_one() -> None:
    """With equal flows among them, whose gradients are shared."""
    found = verify(spec_of().system, tokens=11, seed=3, spread=0.1)
    assert found.agrees, str(found)


def test_it_is_positive_where_one_of_its_flows_is() -> None:
    """Products of retentions go through logarithms, which only positive factors have."""
    ops = {
        op.name: op
        for op in (
            Op(name="p", kind="sigmoid", inputs=("x",)),
            Op(name="z", kind="linear", inputs=("x",)),
            Op(name="one", kind="max", inputs=("z", "p")),
            Op(name="none", kind="max", inputs=("z", "z")),
        )
    }
    assert is_positive("one", ops)
    assert not is_positive("none", ops)


def test_it_is_the_largest_channel_by_channel() -> None:
    text = TEXT.replace("{op: max, in: [x, y, x]}", "{op: max, in: [x, k]}")
    text = text.replace("out: {op: sum, in: [x, m]}", "out: {op: sum, in: [m]}")
    text = text.replace("repeat: 2", "repeat: 1").replace(
        "k: {op: linear, in: x, then: [{op: l2_norm, heads: $heads}]}", "k: {op: linear, in: x}"
    )
    module = ng.compile(spec_of(text)).double()
    weights = dict(module.model.weights.named())
    tokens = torch.randint(16, (2, 5))
    x = weights["embed.weight"][tokens]
    k = x @ weights["0.layer.k.weight"].mT
    head = weights["head.weight"]
    torch.testing.assert_close(module(tokens).logits, torch.maximum(x, k) @ head.mT)
