"""The parameter table: names, shapes, starts, and who moves what when."""

from __future__ import annotations

import math

import pytest
import torch
from building import SGD, model_of, system_of

from nestgraph.analysis.parameters import ParameterSpec, hidden_width, parameter_table, state_shapes
from nestgraph.compiler.equivalence import verify
from nestgraph.errors import SpecError
from nestgraph.language.groups import traits_of
from nestgraph.language.system import Net
from nestgraph.runtime.weights import Weights

LEVELS = "{chunk: 4 tokens, slow: 5 steps}"


def table_of(body: str, width: int = 8) -> dict[str, ParameterSpec]:
    return {spec.name: spec for spec in parameter_table(model_of(body, width))}


def shapes_of(body: str) -> dict[str, tuple[int, ...]]:
    found = table_of(body)
    return {name.removeprefix("0.b."): s.shape for name, s in found.items() if name[0] == "0"}


def test_every_op_that_learns_has_its_parameters():
    shapes = shapes_of("""
        nodes:
          l: {op: linear, in: x, out: 6, bias: true, then: [bias, {op: gain, heads: 2}]}
          c: {op: conv, in: l, width: 3, then: [gain]}
          d: {op: decay, in: c, states: 4}
          r: {op: rms_norm, in: d, heads: 2}
          n: {op: layer_norm, in: r}
          p: {op: polynomial, in: n, degree: 2}
          t: {op: position, then: [{op: lookup, size: 7}]}
          q: {op: linear, in: p, out: 1}
          s: {op: sum, in: [q, t, q], weights: learned}
          out: {op: linear, in: s, out: 8}
    """)

    assert shapes == {
        "l.weight": (6, 8),
        "l.bias": (6,),
        "l.then0.bias": (6,),
        "l.then1.gain": (2,),
        "c.weight": (6, 3),
        "c.then0.gain": (6,),
        "d.a": (24,),
        "r.gain": (24,),
        "n.gain": (24,),
        "n.shift": (24,),
        "p.coefficients": (3,),
        "t.then0.table": (7,),
        "q.weight": (1, 24),
        "s.weights": (3,),
        "out.weight": (8, 1),
    }


def test_a_memory_keeps_its_matrices_head_by_head_from_the_input_side():
    shapes = shapes_of("""
        memories:
          M:
            net: {kind: mlp, layers: 3, expansion: 1.5, bias: true, norm: layer_norm}
            heads: 2
            level: chunk
            keys: x
            values: v
        nodes:
          v: {op: linear, in: x, out: 6}
          y: {read: M, query: x}
          out: {op: linear, in: y, out: 8}
    """)

    assert {name: shape for name, shape in shapes.items() if name.startswith("M")} == {
        "M.W0": (2, 6, 4),
        "M.W1": (2, 6, 6),
        "M.W2": (2, 3, 6),
        "M.b0": (2, 6),
        "M.b1": (2, 6),
        "M.b2": (2, 3),
        "M.norm.gain": (2, 3),
        "M.norm.shift": (2, 3),
    }


def test_a_state_that_starts_at_zero_or_as_another_has_no_parameters():
    shapes = shapes_of("""
        memories:
          M: {keys: x, values: x, init: zero}
          N: {keys: x, values: x, init: {kind: from, memory: M}}
          A: {net: attention, keys: x, values: x}
        nodes:
          m: {read: M, query: x}
          n: {read: N, query: x}
          a: {read: A, query: x}
          out: {op: sum, in: [m, n, a]}
    """)

    assert shapes == {}


def test_attention_learns_its_first_entries():
    shapes = shapes_of("""
        memories:
          A: {net: attention, heads: 2, keys: x, values: v, init: {kind: learned, entries: 3}}
        nodes:
          v: {op: linear, in: x, out: 4}
          y: {read: A, query: x}
          out: {op: linear, in: y, out: 8}
    """)

    assert shapes["A.keys"] == (2, 3, 4)
    assert shapes["A.values"] == (2, 3, 2)


def test_tied_ops_are_counted_once():
    shapes = shapes_of("""
        nodes:
          a: {op: linear, in: x}
          c: {op: linear, in: a, tie: a}
          out: {op: sum, in: [x, c]}
    """)

    assert shapes == {"a.weight": (8, 8)}


def test_a_matrix_that_several_ops_share_is_no_linear_map():
    table = table_of("""
        nodes:
          a: {op: linear, in: x}
          b: {op: linear, in: a, tie: a}
          c: {op: linear, in: b}
          out: {op: sum, in: [x, c]}
    """)
    weights = {name: spec for name, spec in table.items() if name.endswith("weight")}
    maps = [name.split(".")[-2] for name, spec in weights.items() if traits_of(spec).linear_map]

    assert maps == ["c"]


def test_a_step_group_moves_every_so_many_steps():
    table = table_of("""
        memories:
          F: {net: {kind: mlp, expansion: 2}, level: slow, objective: task}
        nodes:
          y: {read: F, query: x}
          out: {op: sum, in: [x, y]}
    """)

    states = [spec for spec in table.values() if spec.role == "state"]
    assert [(s.name, s.shape, s.period, s.level) for s in states] == [
        ("0.b.F.W0", (1, 16, 8), 5, "slow"),
        ("0.b.F.W1", (1, 8, 16), 5, "slow"),
    ]
    assert {spec.period for spec in table.values() if spec.role != "state"} == {1}


def test_a_step_group_that_starts_at_zero_is_still_learned():
    table = table_of("""
        memories:
          F: {level: slow, objective: task, init: zero}
        nodes:
          y: {read: F, query: x}
          out: {op: sum, in: [x, y]}
    """)

    assert table["0.b.F.W0"].init == "zeros"


def test_starts_are_as_documented():
    table = table_of("""
        memories:
          M: {heads: 2, keys: x, values: x}
          N: {heads: 2, keys: x, values: x, init: {kind: learned, std: 0.5}}
          O: {keys: x, values: x, init: {kind: fixed, std: 0.25}}
        nodes:
          c: {op: conv, in: x, width: 4, then: [{op: bias, init: 8}]}
          l: {op: linear, in: c, then: [gain]}
          y: {read: M, query: l}
          z: {read: N, query: l}
          o: {read: O, query: l}
          out: {op: sum, in: [y, z, o], weights: learned}
    """)

    assert table["embed.weight"].std == 0.02
    assert table["0.b.c.weight"].std == pytest.approx(1 / 2)
    assert table["0.b.l.weight"].std == pytest.approx(1 / math.sqrt(3 * 8))
    assert table["0.b.M.W0"].std == pytest.approx(1 / math.sqrt(4))
    assert table["0.b.N.W0"].std == 0.5
    assert (table["0.b.O.W0"].std, table["0.b.O.W0"].trained) == (0.25, False)
    assert (table["0.b.c.then0.bias"].init, table["0.b.c.then0.bias"].value) == ("constant", 8)
    assert table["0.b.out.weights"].value == pytest.approx(1 / 3)


def test_the_model_has_an_embedding_a_norm_and_a_head_of_its_own_or_tied():
    text = """
        nestgraph: 1
        name: test
        blocks: {{b: {{nodes: {{out: {{op: silu, in: x}}}}}}}}
        model:
          embed: {{vocab: 5, width: 8}}
          stack: [{{block: b}}]
          norm: {norm}
          head: {{tie: {tie}}}
    """
    own = parameter_table(system_of(text.format(norm="layer_norm", tie="false")))
    tied = parameter_table(system_of(text.format(norm="none", tie="true")))

    assert [(s.name, s.shape, s.role) for s in own] == [
        ("embed.weight", (5, 8), "embedding"),
        ("norm.gain", (8,), "vector"),
        ("norm.shift", (8,), "vector"),
        ("head.weight", (5, 8), "head"),
    ]
    assert [s.name for s in tied] == ["embed.weight"]


def test_repeats_have_parameters_of_their_own_under_their_paths():
    system = system_of("""
        nestgraph: 1
        name: test
        blocks:
          b: {nodes: {out: {op: linear, in: x}}}
          c: {nodes: {i: {block: b, in: x}, out: {block: b, in: i}}}
        model: {embed: {vocab: 5, width: 8}, stack: [{block: b, repeat: 2}, {block: c}]}
    """)

    names = [spec.name for spec in parameter_table(system)]
    assert names[1:3] == ["0.b.out.weight", "1.b.out.weight"]
    assert len(names) == len(set(names)) == 6


def test_an_optimizer_has_no_table():
    system = system_of(SGD)

    assert parameter_table(system) == ()


@pytest.mark.parametrize(("expansion", "key", "hidden"), [(4, 3, 12), (0.5, 5, 3), (0.1, 2, 1)])
def test_hidden_widths_round_half_up_and_stay_above_zero(expansion: float, key: int, hidden: int):
    assert hidden_width(Net(kind="mlp", expansion=expansion), key) == hidden


def test_state_shapes_tell_matrices_from_biases():
    system = model_of("""
        memories:
          M: {net: {kind: mlp, bias: true}, level: chunk, keys: x, values: x}
        nodes:
          y: {read: M, query: x}
          out: {op: sum, in: [x, y]}
    """)
    assert system.model is not None

    states = state_shapes(system.model.layers[0].block.memories["M"])
    assert [(s.name, s.is_matrix) for s in states] == [
        ("W0", True),
        ("W1", True),
        ("b0", False),
        ("b1", False),
    ]


def test_starts_of_vectors_are_numbers_or_evenly_spaced():
    table = {
        name.removeprefix("0.b."): spec
        for name, spec in table_of("""
        nodes:
          b: {op: bias, in: x, init: [-6, 1]}
          g: {op: gain, in: b, heads: 2, init: [1, 2]}
          d: {op: decay, in: g, init: 4}
          s: {op: decay, in: d, states: 3, init: [1, 9]}
          m: {op: linear, in: s, out: 8}
          c: {op: constant, out: 8, init: [0.5, 4], trained: false}
          out: {op: sum, in: [m, c]}
    """).items()
    }

    assert (table["b.bias"].value, table["b.bias"].last, table["b.bias"].run) == (-6, 1, 8)
    assert (table["g.gain"].value, table["g.gain"].last, table["g.gain"].run) == (1, 2, 2)
    assert table["d.a"].value == pytest.approx(math.log(4))
    assert (table["s.a"].value, table["s.a"].last, table["s.a"].run) == (1, 9, 3)
    assert table["s.a"].log
    assert table["s.a"].shape == (24,)
    assert table["c.value"].init == "spread"
    assert not table["c.value"].trained
    assert table["b.bias"].trained


def test_a_linear_map_starts_with_the_deviation_that_it_names():
    body = """
        nodes:
          a: {op: linear, in: x, std: 0.25}
          b: {op: linear, in: a, std: 0, bias: true}
          out: {op: linear, in: b}
    """
    named = {name.removeprefix("0.b."): spec for name, spec in table_of(body, 64).items()}
    drawn = Weights(named.values(), seed=0).get_parameter

    assert drawn("0.b.a.weight").std().item() == pytest.approx(0.25, rel=0.05)
    assert not drawn("0.b.b.weight").any()
    assert named["b.weight"].role == "matrix"
    assert drawn("0.b.out.weight").std().item() == pytest.approx(1 / math.sqrt(3 * 64), rel=0.05)


@pytest.mark.parametrize(
    ("tied", "field"),
    [
        ("{op: linear, in: a, tie: a, std: 0}", "std"),
        ("{op: bias, in: b, tie: b, init: 0}", "init"),
        ("{op: constant, out: 8, tie: c, trained: true}", "trained"),
    ],
)
def test_a_tied_op_with_a_start_of_its_own_is_refused(tied, field):
    with pytest.raises(SpecError, match=f"NG228 `{field}` of `out` has no effect"):
        table_of(f"""
        nodes:
          a: {{op: linear, in: x}}
          b: {{op: bias, in: a, init: 1}}
          c: {{op: constant, out: 8}}
          out: {tied}
        """)


def test_a_decay_starts_at_rates_above_zero():
    with pytest.raises(SpecError, match=r"`init\.0` of node `out` is 0; expected more than 0"):
        table_of("nodes: {out: {op: decay, in: x, init: [0, 2]}}")


@pytest.mark.parametrize("init", ["learned", "zero", "identity", "{kind: fixed, std: 0.3}"])
def test_a_group_on_steps_starts_with_the_numbers_of_the_memory_that_it_starts_as(init):
    system = model_of(f"""
        memories:
          S: {{net: linear, keys: x, values: x, level: chunk, init: {init}}}
          T: {{like: S, init: {{kind: from, memory: S}}}}
          F: {{net: linear, level: slow, objective: task, init: {{kind: from, memory: T}}}}
          G: {{like: F, init: {{kind: from, memory: F}}}}
          H: {{like: F, init: {init}}}
        nodes:
          s: {{read: S, query: x}}
          t: {{read: T, query: x}}
          f: {{read: F, query: x}}
          g: {{read: G, query: x}}
          h: {{read: H, query: x}}
          out: {{op: sum, in: [x, s, t, f, g, h]}}
    """)
    named = Weights(parameter_table(system), seed=3).named()
    start = named["0.b.S.W0"] if "0.b.S.W0" in named else named["0.b.H.W0"]
    for name in ("0.b.F.W0", "0.b.G.W0"):
        assert torch.equal(named[name], start)
    assert ("zero" in init or "identity" in init) == torch.equal(named["0.b.H.W0"], start)
    assert verify(system).agrees
