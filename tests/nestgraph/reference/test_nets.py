"""Biases, output norms and widths of nets, by gradients derived by hand."""

from __future__ import annotations

import pytest
import torch
from by_hand import outer, runs, times

HEADS, WIDTH, CHUNK, EPSILON = 2, 6, 3, 1e-6

BLOCK = """
memories:
  M:
    net: {kind: mlp, layers: LAYERS, expansion: 1.5, activation: tanh, bias: true, norm: NORM,
          residual: RESIDUAL, out: OUT}
    heads: 2
    level: chunk
    keys: k
    values: VALUES
    rule: {rate: eta, momentum: 0.5, retain: alpha, RULE}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x, out: WIDE}
  eta: {op: linear, in: x, out: 2, then: [sigmoid, {op: affine, scale: 0.3}]}
  alpha: {op: linear, in: x, out: 2, then: [sigmoid]}
  y: {read: M, query: q, at: AT}
  out: {op: linear, in: y, out: 6}
"""


class Net:
    """[x +] norm(W_L tanh(… W_1 x + b_1 …) + b_L) with its slopes; state W_1 … W_L, b_1 … b_L."""

    def __init__(self, w, layers, norm, residual):
        self.layers, self.norm, self.residual = layers, norm, residual
        self.gain, self.shift = w.get("M.norm.gain"), w.get("M.norm.shift", 0)

    def inside(self, state, x):
        """Return inputs of each layer, the last layer's answer, and its normed form without
        gain.
        """
        inputs = [x]
        for layer in range(self.layers - 1):
            z = times(state[layer], inputs[-1]) + state[self.layers + layer]
            inputs.append(z.tanh())
        z = times(state[self.layers - 1], inputs[-1]) + state[-1]
        if self.norm == "none":
            return inputs, z, z, None
        centred = z - z.mean(-1, keepdim=True) if self.norm == "layer_norm" else z
        root = (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt()
        return inputs, z, centred / root, root

    def answer(self, state, x):
        unit = self.inside(state, x)[2]
        y = unit if self.norm == "none" else unit * self.gain + self.shift
        return x + y if self.residual else y

    def slopes(self, state, x, target):
        inputs, _, unit, root = self.inside(state, x)
        d = self.answer(state, x) - target
        if self.norm != "none":
            d = d * self.gain
            along = (d * unit).mean(-1, keepdim=True) * unit
            level = d.mean(-1, keepdim=True) if self.norm == "layer_norm" else 0
            d = (d - level - along) / root
        matrices, biases = [], []
        for layer in reversed(range(self.layers)):
            matrices.insert(0, outer(d, inputs[layer]))
            biases.insert(0, d)
            if layer:
                d = (1 - inputs[layer] ** 2) * times(state[layer].transpose(-1, -2), d)
        return [*matrices, *biases], inputs


def block(layers, norm, residual, out, own, rule, at):
    text = BLOCK.replace("LAYERS", str(layers)).replace("NORM", norm)
    text = text.replace("RESIDUAL", str(residual).lower()).replace("RULE", rule)
    text = text.replace("OUT", str(out)).replace("VALUES", "{self: q}" if own else "v")
    return text.replace("WIDE", str(out)).replace("AT", at)


RULES = ("implicit: false", "erase: layers, implicit: true", "retain_first: true, erase: key")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("norm", ["none", "layer_norm", "rms_norm"])
@pytest.mark.parametrize(
    ("layers", "residual", "out", "own", "at"),
    [
        (1, True, 6, False, "after"),
        (2, True, 6, True, "before"),
        (2, False, 10, False, "boundary"),
        (3, False, 8, True, "after"),
    ],
)
def test_a_net_learns_its_biases_and_keeps_its_norm(
    bench, flow, held, layers, norm, residual, out, own, rule, at
):
    """Biases: rate, momentum, retention; never erased, never implicit. The norm stays."""
    first, implicit = "retain_first" in rule, "implicit: true" in rule
    erased = {"erase: layers": range(layers), "erase: key": (0,)}
    erased = next((which for word, which in erased.items() if word in rule), ())

    def by_hand(w, x):
        net = Net(w, layers, norm, residual)
        flows = {n: x @ w[f"{n}.weight"].T for n in ("q", "k", "v", "eta", "alpha")}
        q, k, v = (runs(flows[n], HEADS) for n in "qkv")
        eta, alpha = 0.3 * flows["eta"].sigmoid(), flows["alpha"].sigmoid()
        names = [f"{kind}{i}" for kind in "Wb" for i in range(layers)]
        a = anchor = [w[f"M.{n}"].expand(2, *w[f"M.{n}"].shape) for n in names]
        s, kept, answers = [torch.zeros_like(p) for p in a], 1.0, []
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                anchor, kept = a, torch.ones_like(alpha[:, 0])
            before, old = a, a
            kept = kept * alpha[:, t]

            def wide(number, part):
                return number.reshape(*number.shape, *[1] * (part.ndim - 2)) * part

            seen = [wide(kept, p) for p in anchor] if first else anchor
            target = net.answer(anchor, q[:, t]) if own else v[:, t]
            slopes, inputs = net.slopes(seen, k[:, t], target)
            a, after = [], []
            for i, (part, g) in enumerate(zip(old, slopes, strict=True)):
                r = eta[:, t]
                if implicit and i < layers:
                    r = r / (1 + r * inputs[i].square().sum(-1))
                after.append(0.5 * s[i] - wide(r, g))
                new = wide(alpha[:, t], part) + after[-1]
                if i in erased:
                    source = wide(alpha[:, t], part) if first else part
                    new = new - wide(r, outer(times(source, inputs[i]), inputs[i]))
                a.append(new)
            s = after
            shown = {"before": before, "after": a, "boundary": anchor}[at]
            answers.append(net.answer(shown, q[:, t]))
        y = torch.stack(answers, 1).flatten(2) @ w["out.weight"].T
        parts = {f"M.A{i}": p for i, p in enumerate(a)} | {f"M.S{i}": p for i, p in enumerate(s)}
        return y, parts | {f"M.anchor{i}": p for i, p in enumerate(anchor)}

    text = block(layers, norm, residual, out, own, rule, at)
    held(bench(text, WIDTH, "{chunk: 3 tokens}"), by_hand, 0.7 * flow(2, 8, WIDTH))


def test_newton_schulz_and_mirrors_leave_biases_alone(bench, flow, held):
    def by_hand(w, x):
        k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "kv")
        a, b = w["M.W0"].expand(2, -1, -1, -1), w["M.b0"].expand(2, -1, -1)
        answers = []
        for t in range(x.shape[1]):
            weights = a.softmax(-1)
            d = times(weights, k[:, t]) + b - v[:, t]
            step = -0.2 * outer(d, k[:, t])
            # One event is of rank one: orthogonalised it is itself by a number.
            size = step.flatten(2).norm(dim=-1)
            unit = size / (size + 1e-7)
            for _ in range(3):
                unit = 3.4445 * unit - 4.7750 * unit**3 + 2.0315 * unit**5
            a = a + 0.5 * (unit / size)[..., None, None] * step
            b = b + 0.5 * (-0.2 * d)
            answers.append(times(a.softmax(-1), k[:, t]) + b)
        return torch.stack(answers, 1).flatten(2), {"M.A0": a, "M.A1": b}

    text = """
    memories:
      M:
        net: {kind: mlp, layers: 1, bias: true}
        heads: 2
        keys: k
        values: v
        rule: {rate: 0.2, step: 0.5, direction: {kind: newton_schulz, steps: 3}, mirror: softmax}
    nodes:
      k: {op: linear, in: x}
      v: {op: linear, in: x}
      out: {read: M, query: k}
    """
    held(bench(text, WIDTH), by_hand, flow(2, 6, WIDTH))


@pytest.mark.parametrize("own", [False, True])
def test_out_sets_the_width_of_the_answer(bench, flow, held, own):
    """With values of its own too: then the net alone says how wide they are."""
    values = "{self: q}" if own else "v"

    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        a, answers = w["M.W0"].expand(2, -1, -1, -1), []
        assert a.shape[-2:] == (5, 3)
        for t in range(x.shape[1]):
            target = times(a, q[:, t]) if own else v[:, t]
            a = a - 0.3 * outer(times(a, k[:, t]) - target, k[:, t])
            answers.append(times(a, q[:, t]))
        return torch.stack(answers, 1).flatten(2) @ w["out.weight"].T

    text = f"""
    memories:
      M: {{net: {{kind: linear, out: 10}}, heads: 2, keys: k, values: {values},
          rule: {{rate: 0.3}}}}
    nodes:
      q: {{op: linear, in: x}}
      k: {{op: linear, in: x}}
      v: {{op: linear, in: x, out: 10}}
      y: {{read: M, query: q}}
      out: {{op: linear, in: y, out: 6}}
    """
    held(bench(text, WIDTH), by_hand, flow(2, 6, WIDTH))


def test_the_upper_rows_of_a_gated_layer_gate_the_lower_ones(bench, flow, held):
    def by_hand(w, x):
        gate, up = times(w["F.W0"][:, :8], runs(x, HEADS)), times(w["F.W0"][:, 8:], runs(x, HEADS))
        y = torch.nn.functional.silu(gate) * up
        return times(w["F.W1"], y).flatten(2)

    text = """
    memories:
      F: {net: {kind: mlp, expansion: 2.667, gated: true}, heads: 2, level: slow, objective: task}
    nodes: {out: {read: F, query: x}}
    """
    held(bench(text, WIDTH, "{slow: 16 steps}"), by_hand, flow(2, 4, WIDTH))


def test_a_group_on_steps_has_biases_and_a_norm_too(bench, flow, held):
    def by_hand(w, x):
        y = torch.nn.functional.gelu(times(w["F.W0"], runs(x, HEADS)) + w["F.b0"])
        y = times(w["F.W1"], y) + w["F.b1"]
        y = torch.nn.functional.layer_norm(y, (3,), eps=EPSILON)
        return (runs(x, HEADS) + y * w["F.norm.gain"] + w["F.norm.shift"]).flatten(2)

    text = """
    memories:
      F: {net: {kind: mlp, expansion: 2, activation: gelu, bias: true, norm: layer_norm,
          residual: true}, heads: 2, level: slow, objective: task}
    nodes: {out: {read: F, query: x}}
    """
    held(bench(text, WIDTH, "{slow: 16 steps}"), by_hand, flow(2, 4, WIDTH))
