"""What nothing runs yet is refused at its place; what is refused is tested by golden files
(`test_checks.py`).
"""

from __future__ import annotations

from building import model_of, spec_of

from nestgraph.support import unsupported


def test_everything_the_executors_run_is_let_through():
    system = model_of("""
        memories:
          M:
            net: {kind: mlp, layers: 3, activation: gelu_tanh, residual: true}
            heads: 2
            level: chunk
            keys: x
            values: {self: x}
            objective: {kind: l2, scale: 2}
            rule:
              rate: r
              momentum: 0.5
              retain: [0.9, 1]
              retain_first: true
              erase: {where: layers, rate: 0.1}
              implicit: true
          N: {level: never, keys: x, values: x, objective: dot, init: zero}
          A: {net: attention, keys: x, values: x}
          F: {net: mlp, level: slow, objective: task}
        nodes:
          r: {op: linear, in: x, out: 2, then: [sigmoid]}
          m: {read: M, query: x, at: boundary}
          n: {read: N, query: x, at: before}
          a: {read: A, query: x}
          f: {read: F, query: x}
          out: {op: sum, in: [m, n, a, f]}
    """)

    assert unsupported(system) == ()


def test_every_refusal_is_at_its_field_and_comes_once_for_a_repeated_block():
    spec = spec_of("""
        nestgraph: 1
        name: test
        blocks:
          b:
            memories:
              M: {keys: x, values: x, gradient: none}
            nodes:
              y: {read: M, query: x}
              out: {op: polynomial, in: y, degree: 2}
        model: {embed: {vocab: 5, width: 8}, stack: [{block: b, repeat: 3}]}
    """)

    refusals = unsupported(spec.system)

    assert [(d.code, d.span.line) for d in refusals if d.span] == [("NG908", 7), ("NG910", 10)]
