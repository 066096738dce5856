"""What follows a convolution is folded into it where nothing else wants the values between."""

from __future__ import annotations

from building import model_of

from nestgraph.compiler import emit_python
from nestgraph.compiler.equivalence import verify

BODY = """
nodes:
  u: {op: linear, in: x}
  a: {op: conv, in: u, width: 3, then: [silu, {op: l2_norm, heads: 2}]}
  b: {op: conv, in: u, width: 2, then: [silu]}
  c: {op: conv, in: b, width: 2}
  d: {op: silu, in: c}
  e: {op: product, in: [c, d]}
  out: {op: sum, in: [x, a, e]}
"""


def test_a_chain_becomes_one_op_and_a_value_with_two_readers_stays() -> None:
    run = emit_python(model_of(BODY)).split("def run_f0")[1]

    assert "silu=True, unit=2)" in run
    assert run.count("causal_conv(") == 3
    assert run.count("silu=True") == 2
    assert run.count("F.silu(") == 1


def test_folded_convolutions_compute_what_the_interpreter_does() -> None:
    found = verify(model_of(BODY), tokens=9, seed=3)
    assert found.agrees, str(found)
