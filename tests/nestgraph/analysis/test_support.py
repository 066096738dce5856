"""What nothing runs yet is refused at its place; what is refused is tested by golden files
(`test_checks.py`).
"""

from __future__ import annotations

from building import SGD, model_of, spec_of

from nestgraph.analysis.support import MOST_LOOPED, unsupported


def test_everything_the_executors_run_is_let_through():
    system = model_of("""
        memories:
          M:
            net: {kind: mlp, layers: 3, activation: gelu_tanh, residual: true, bias: true,
                  norm: layer_norm}
            heads: 2
            level: chunk
            keys: [x, x]
            values: [x, x]
            objective: {kind: huber, delta: 0.5, switch: norm, window: 3}
            rule:
              rate: r
              momentum: 0.5
              retain: [0.9, 1]
              retain_first: true
              erase: {where: layers, rate: 0.1}
              implicit: true
              direction: newton_schulz
              step: 0.1
              mirror: {kind: lq, q: 3}
              reduce: mean
            gradient: first_order
            reset: chunk
          N: {level: never, keys: x, values: x, objective: dot, init: zero}
          L: {keys: x, values: {self: x}, rule: {rate: {flow: x, per: key}, erase: {key: x}}}
          A: {net: {kind: attention, window: 8}, keys: x, values: x, reset: chunk,
              init: {kind: learned, entries: 2}}
          V: {net: vector, values: x}
          F: {net: mlp, level: slow, objective: task}
        nodes:
          r: {op: linear, in: x, out: 2, then: [sigmoid]}
          m: {read: M, query: x, at: boundary}
          n: {read: N, query: x, at: before}
          l: {read: L}
          o: {op: linear, in: l, out: 8, then: [{op: polynomial, degree: 2}]}
          p: {op: position, since: chunk}
          t: {op: lookup, in: p, size: 16, then: [{op: tile, times: 8}]}
          a: {read: A, query: x}
          v: {read: V}
          f: {read: F, query: x}
          g: {op: linear, in: x}
          h: {op: linear, in: x, tie: g}
          out: {op: sum, in: [m, n, o, t, a, v, f, g, h]}
    """)

    assert unsupported(system) == ()


def test_every_refusal_is_at_its_field_and_comes_once_for_a_repeated_block():
    spec = spec_of("""
        nestgraph: 1
        name: test
        blocks:
          b:
            memories:
              M: {net: {kind: mlp, gated: true}, keys: x, values: x}
            nodes:
              out: {read: M, query: x}
        model: {embed: {vocab: 5, width: 8}, stack: [{block: b, repeat: 3}]}
    """)

    refusals = unsupported(spec.system)

    assert [(d.code, d.span.line) for d in refusals if d.span] == [("NG902", 7)]


def test_a_block_with_more_memories_than_can_be_ordered_in_time_is_refused() -> None:
    def refused(count: int) -> list[str]:
        fields = "level: chunk, keys: x, values: x, rule: {rate: 0.1}"
        memories = "".join(f"  m{i}: {{{fields}}}\n" for i in range(count))
        nodes = "nodes:\n  y: {read: m0, query: x}\n  out: {op: sum, in: [x, y]}"
        return [one.code for one in unsupported(model_of(f"memories:\n{memories}{nodes}"))]

    assert refused(MOST_LOOPED) == []
    assert refused(MOST_LOOPED + 1) == ["NG911"]


def test_nothing_pulls_an_optimizers_memory_towards_its_start():
    optimizer = SGD.replace(
        "rule: {rate: lr}", "rule: {rate: lr, retain: {number: 0.9, towards: init}}"
    )

    (found,) = unsupported(spec_of(optimizer).system)

    assert (found.code, found.span.line) == ("NG904", 12)
    assert found.message == "nothing runs `retain` with `towards: init` in an optimizer"
