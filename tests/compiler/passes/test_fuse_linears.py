"""Linear maps of one flow share a product; others do not."""

from building import model_of

from nestgraph.compiler import emit_python, plan

BODY = """
nodes:
  u: {op: tanh, in: x}
  a: {op: linear, in: u, out: 4}
  b: {op: linear, in: u, out: 12, then: [silu]}
  c: {op: linear, in: u, bias: true}
  d: {op: linear, in: x}
  e: {op: slice, in: b, heads: 1, start: 0, size: 4}
  f: {op: product, in: [a, e]}
  g: {op: linear, in: f, out: 8}
  out: {op: sum, in: [c, d, g]}
"""


def test_maps_of_one_flow_are_joined_and_the_plan_says_what_was_saved() -> None:
    (fusion,) = plan(model_of(BODY)).functions[0].fused

    assert fusion == "a, b: 2 linear maps of `u` in one product, 1 saved"


def test_the_joined_weights_are_made_outside_the_hot_path() -> None:
    source = emit_python(model_of(BODY))
    prepare, run = source.split("def run_f0")

    assert "torch.cat((p['a.weight'], p['b.weight']))" in prepare
    assert run.count("F.linear(") == 4
