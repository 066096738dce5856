"""A SiLU gate is folded into the norm that it multiplies where nothing else wants either."""

from __future__ import annotations

from building import model_of

from nestgraph.compiler import emit_python
from nestgraph.compiler.equivalence import verify

BODY = """
nodes:
  u: {op: linear, in: x}
  a: {op: rms_norm, in: u, heads: 2}
  b: {op: linear, in: x, then: [silu]}
  c: {op: product, in: [b, a]}
  d: {op: rms_norm, in: x}
  e: {op: silu, in: u}
  f: {op: product, in: [d, e]}
  out: {op: sum, in: [c, d, f]}
"""


def test_a_norm_takes_on_its_gate_and_a_value_with_two_readers_stays() -> None:
    run = emit_python(model_of(BODY)).split("def run_f0")[1]

    assert run.count("ops.gated_norm(") == 1
    assert run.count("ops.rms_norm(") == 1
    assert run.count("F.silu(") == 1


def test_gated_norms_compute_what_the_interpreter_does() -> None:
    found = verify(model_of(BODY), tokens=9, seed=3)
    assert found.agrees, str(found)
