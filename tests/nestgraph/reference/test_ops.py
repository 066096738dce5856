"""Each op against PyTorch, or against its formula."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

WIDTH = 6
EPSILON = 1e-6


def node(fields):
    return "nodes: {out: {op: " + fields + "}}"


def runs(x, heads):
    return x.unflatten(-1, (heads, -1))


UNARY = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "exp": torch.exp,
    "affine, scale: 3, shift: -0.5": lambda x: 3 * x - 0.5,
    "power, exponent: 2": lambda x: x * x,
    "softmax": lambda x: F.softmax(x, -1),
    "softmax, heads: 2": lambda x: F.softmax(runs(x, 2), -1).flatten(-2),
    "l2_norm, heads: 3": lambda x: F.normalize(runs(x, 3), eps=EPSILON, dim=-1).flatten(-2),
    "sum, in: [x, x, x], weights: [1, 0.5, -2]": lambda x: -0.5 * x,
    "sum, in: [x, x]": lambda x: 2 * x,
    "product, in: [x, x, x]": lambda x: x**3,
    "divide, in: [x, x]": lambda x: torch.ones_like(x),
}


@pytest.mark.parametrize("op", UNARY)
def test_ops_without_parameters(bench, flow, agree, op):
    fields = op if "in:" in op else f"{op}, in: x"
    x = flow(2, 3, WIDTH)
    # `l2_norm` has its epsilon inside the root, PyTorch as a lower bound.
    tolerance = 1e-3 if "l2_norm" in op else 1e-10
    agree(bench(node(fields), WIDTH)(x), UNARY[op](x), tolerance)


def test_l2_norm_adds_its_epsilon_inside_the_root(bench, flow, agree):
    x = 1e-3 * flow(2, 3, WIDTH)
    expected = x / (x.square().sum(-1, keepdim=True) + EPSILON).sqrt()
    agree(bench(node("l2_norm, in: x"), WIDTH)(x), expected)


def test_fields_may_be_left_to_their_defaults(bench, flow, agree):
    x = flow(2, 3, WIDTH)
    agree(bench(node("affine, in: x"), WIDTH)(x), x)


@pytest.mark.parametrize("heads", [1, 2])
def test_rms_norm_is_pytorchs_within_each_head(bench, flow, agree, heads):
    b, x = bench(node(f"rms_norm, in: x, heads: {heads}"), WIDTH), flow(2, 3, WIDTH)
    expected = F.rms_norm(runs(x, heads), (WIDTH // heads,), eps=EPSILON).flatten(-2)
    agree(b(x), expected * b.weight("out.gain"))


@pytest.mark.parametrize("heads", [1, 2])
def test_layer_norm_is_pytorchs_within_each_head(bench, flow, agree, heads):
    b, x = bench(node(f"layer_norm, in: x, heads: {heads}"), WIDTH), flow(2, 3, WIDTH)
    expected = F.layer_norm(runs(x, heads), (WIDTH // heads,), eps=EPSILON).flatten(-2)
    agree(b(x), expected * b.weight("out.gain") + b.weight("out.shift"))


@pytest.mark.parametrize("taps", [1, 2, 4])
def test_conv_is_a_causal_depthwise_convolution(bench, flow, agree, taps):
    b, x = bench(node(f"conv, in: x, width: {taps}"), WIDTH), flow(2, 5, WIDTH)
    padded = F.pad(x.mT, (taps - 1, 0))
    expected = F.conv1d(padded, b.weight("out.weight")[:, None], groups=WIDTH).mT
    agree(b(x), expected)


def test_linear_has_a_bias_when_asked(bench, flow, agree):
    b, x = bench(node("linear, in: x, bias: true"), WIDTH), flow(2, 3, WIDTH)
    agree(b(x), F.linear(x, b.weight("out.weight"), b.weight("out.bias")))


def test_bias_and_gain_act_on_channels_or_heads(bench, flow, agree):
    x = flow(2, 3, WIDTH)
    b = bench(node("bias, in: x, init: 2"), WIDTH)
    agree(b(x), x + b.weight("out.bias"))
    b = bench(node("gain, in: x"), WIDTH)
    agree(b(x), x * b.weight("out.gain"))
    b = bench(node("gain, in: x, heads: 2"), WIDTH)
    agree(b(x), (runs(x, 2) * b.weight("out.gain")[:, None]).flatten(-2))


def test_a_sum_may_learn_its_weights(bench, flow, agree):
    block = """
    nodes:
      y: {op: linear, in: x}
      out: {op: sum, in: [x, y], weights: learned}
    """
    b, x = bench(block, WIDTH), flow(2, 3, WIDTH)
    first, second = b.weight("out.weights")
    agree(b(x), first * x + second * b.project(x, "y"))


def test_divide_puts_the_first_flow_over_the_second(bench, flow, agree):
    block = """
    nodes:
      y: {op: exp, in: x}
      out: {op: divide, in: [x, y]}
    """
    x = flow(2, 3, WIDTH)
    agree(bench(block, WIDTH)(x), x * (-x).exp())


@pytest.mark.parametrize(("op", "function"), [("mean", torch.mean), ("total", torch.sum)])
def test_mean_and_total_leave_one_channel_a_head(bench, flow, agree, op, function):
    block = f"""
    nodes:
      m: {{op: {op}, in: x, heads: 3}}
      out: {{op: repeat, in: m, times: 2}}
    """
    x = flow(2, 3, WIDTH)
    expected = function(runs(x, 3), -1).repeat_interleave(2, -1)
    agree(bench(block, WIDTH)(x), expected)


def test_tile_copies_the_vector_and_repeat_its_channels(bench, flow, agree):
    block = """
    nodes:
      s: {op: slice, in: x, heads: 2, start: 1, size: 1}
      t: {op: tile, in: s, times: 2}
      r: {op: repeat, in: t, heads: 2, times: [1, 2]}
      out: {op: repeat, in: r, heads: 6, times: 1}
    """
    x = flow(2, 3, WIDTH)
    a, b = x[..., 1], x[..., 4]  # tiled: a b a b; then each head's second twice
    agree(bench(block, WIDTH)(x), torch.stack((a, b, b, a, b, b), -1))


def test_decay_is_an_exponential_of_a_learned_exponential(bench, flow, agree):
    b, x = bench(node("decay, in: x"), WIDTH), flow(2, 3, WIDTH)
    agree(b(x), torch.exp(-b.weight("out.a").exp() * x))


def test_decay_with_states_has_several_decays_for_each_channel(bench, flow, agree):
    block = """
    nodes:
      s: {op: slice, in: x, size: 2}
      out: {op: decay, in: s, states: 3}
    """
    b, x = bench(block, WIDTH), flow(2, 3, WIDTH)
    a = b.weight("out.a").reshape(2, 3)
    agree(b(x), torch.exp(-a.exp() * x[..., :2, None]).flatten(-2))


@pytest.mark.parametrize(("since", "period"), [("", 100), (", since: chunk", 3)])
def test_position_counts_from_one(bench, flow, agree, since, period):
    block = f"""
    nodes:
      p: {{op: position{since}}}
      out: {{op: tile, in: p, times: 6}}
    """
    y = bench(block, WIDTH, "{chunk: 3 tokens}")(flow(2, 7, WIDTH))
    expected = torch.arange(7, dtype=torch.float64) % period + 1
    agree(y, expected[None, :, None].expand(2, 7, WIDTH))


def test_a_constant_is_one_vector_at_every_position(bench, flow, agree):
    block = f"""
    nodes:
      c: {{op: constant, out: {WIDTH}, init: [-1, 2]}}
      out: {{op: product, in: [x, c]}}
    """
    b, x = bench(block, WIDTH), flow(2, 3, WIDTH)
    agree(b(x), x * b.weight("c.value"))


def test_a_chain_runs_from_left_to_right(bench, flow, agree):
    block = "nodes: {out: {op: linear, in: x, then: [exp, {op: affine, shift: 1}, tanh]}}"
    b, x = bench(block, WIDTH), flow(2, 3, WIDTH)
    agree(b(x), torch.tanh(b.project(x, "out").exp() + 1))


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_a_polynomial_has_learned_coefficients(bench, flow, held, degree):
    b, x = bench(node(f"polynomial, in: x, degree: {degree}"), WIDTH), flow(2, 3, WIDTH)

    def by_hand(w, x):
        y = w["out.coefficients"][degree]
        for c in reversed(w["out.coefficients"][:degree]):  # Horner
            y = y * x + c
        return y

    held(b, by_hand, x)


@pytest.mark.parametrize(("since", "period"), [("", 100), (", since: chunk", 3)])
def test_a_lookup_asks_its_table_by_position_and_its_last_entry_beyond(
    bench, flow, held, since, period
):
    block = f"""
    nodes:
      p: {{op: position{since}}}
      t: {{op: lookup, in: p, size: 4, init: 0.5}}
      wide: {{op: tile, in: t, times: 6}}
      out: {{op: product, in: [wide, x]}}
    """

    def by_hand(w, x):
        index = [min(t % period, 3) for t in range(x.shape[1])]
        return w["t.table"][index][None, :, None] * x

    held(bench(block, WIDTH, "{chunk: 3 tokens}"), by_hand, flow(2, 7, WIDTH))


def test_tied_ops_share_parameters_and_keep_their_own_inputs(bench, flow, held):
    block = """
    nodes:
      a: {op: conv, in: x, width: 3}
      y: {op: exp, in: a}
      b: {op: conv, in: y, width: 3, tie: a}
      c: {op: linear, in: b, bias: true}
      out: {op: linear, in: c, bias: true, tie: c}
    """

    def by_hand(w, x):
        def conv(x):
            return F.conv1d(F.pad(x.mT, (2, 0)), w["a.weight"][:, None], groups=WIDTH).mT

        y = conv(conv(x).exp())
        for _ in range(2):
            y = F.linear(y, w["c.weight"], w["c.bias"])
        assert set(w) == {"a.weight", "c.weight", "c.bias"}
        return y

    b = bench(block, WIDTH)
    held(b, by_hand, 0.3 * flow(2, 5, WIDTH))
    assert {"0.b.a.tail", "0.b.b.tail"} < set(b.with_state(flow(1, 2, WIDTH))[1])
