"""MLP memories against gradients derived by hand: no autograd on this side."""

from __future__ import annotations

import pytest
import torch

HEADS, D, WIDTH, CHUNK = 2, 3, 6, 3


def silu(z):
    return z * z.sigmoid()


def silu_slope(z):
    return z.sigmoid() * (1 + z * (1 - z.sigmoid()))


class TwoLayers:
    """y = residual·x + W1 silu(W0 x), with the gradients of ½ scale ‖y − v‖² or −scale ⟨y, v⟩."""

    def __init__(self, residual, objective, scale):
        self.residual, self.objective, self.scale = residual, objective, scale

    def answer(self, w, x):
        return self.residual * x + w[1] @ silu(w[0] @ x)

    def gradients(self, w, k, v):
        z = w[0] @ k
        h = silu(z)
        error = self.answer(w, k) - v if self.objective == "l2" else -v
        e = self.scale * error
        back = silu_slope(z) * (w[1].T @ e)
        return (torch.outer(back, k), torch.outer(e, h)), (k, h)


MLP = """
memories:
  M:
    net: {kind: mlp, layers: 2, expansion: 1.5, activation: silu, residual: RESIDUAL}
    heads: 2
    level: chunk
    keys: k
    values: VALUES
    objective: {kind: OBJECTIVE, scale: 2}
    rule: {RULE}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x}
  theta: {op: linear, in: x, out: 2, then: [sigmoid, {op: affine, scale: 0.3}]}
  eta: {op: linear, in: x, out: 2, then: [sigmoid]}
  keep: {op: linear, in: x, out: 2, then: [sigmoid]}
  out: {read: M, query: q, at: AT}
"""

TITANS = "rate: theta, momentum: eta, retain: keep"
RULES = {
    "titans": TITANS,
    "w/o momentum": "rate: theta, retain: keep",
    "form A": f"{TITANS}, erase: key, implicit: true",
    "form B": f"{TITANS}, erase: layers, implicit: true",
    "form C": f"{TITANS}, implicit: true",
    "literal": f"{TITANS}, erase: layers",
    "own erase rate": f"{TITANS}, erase: {{where: layers, rate: 0.2}}, implicit: true",
    "retain first": f"{TITANS}, retain_first: true, erase: layers, implicit: true",
}


@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize("rule", RULES)
def test_a_deep_memory_learns_by_anchored_gradients(bench, flow, agree, each_head, rule, at):
    """Titans' long-term memory with decay and momentum, and delta descent in its three forms."""
    check(bench, flow, agree, each_head, rule, at, "l2", residual=True, self_values=False)


@pytest.mark.parametrize("objective", ["l2", "dot"])
@pytest.mark.parametrize("self_values", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_residual_objective_and_self_values_are_independent(
    bench, flow, agree, each_head, residual, self_values, objective
):
    check(bench, flow, agree, each_head, "form B", "after", objective, residual, self_values)
    check(bench, flow, agree, each_head, "retain first", "after", objective, residual, self_values)


def check(bench, flow, agree, each_head, rule, at, objective, residual, self_values):
    text = MLP.replace("RULE", RULES[rule]).replace("AT", at).replace("OBJECTIVE", objective)
    text = text.replace("RESIDUAL", str(residual).lower())
    b = bench(
        text.replace("VALUES", "{self: v}" if self_values else "v"), WIDTH, "{chunk: 3 tokens}"
    )
    x = flow(2, 8, WIDTH)
    q, k, v = (b.project(x, n) for n in "qkv")
    theta = 0.3 * b.project(x, "theta").sigmoid()
    eta, keep = (b.project(x, f"{n}").sigmoid() for n in ("eta", "keep"))
    net = TwoLayers(residual, objective, 2.0)
    erased = {"form A": (0,), "form B": (0, 1), "literal": (0, 1), "retain first": (0, 1)}
    erased["own erase rate"] = (0, 1)

    def recurrence(head, q, k, v, theta, eta, keep):
        w = anchor = (b.weight("M.W0")[head], b.weight("M.W1")[head])
        s = tuple(torch.zeros_like(m) for m in w)
        kept = 1.0
        answers = []
        for t in range(len(q)):
            if t % CHUNK == 0:
                anchor, kept = w, 1.0
            before = w
            kept = kept * keep[t]
            seen = tuple(kept * m for m in anchor) if rule == "retain first" else anchor
            target = net.answer(anchor, v[t]) if self_values else v[t]
            gradients, inputs = net.gradients(seen, k[t], target)
            beta = 0.0 if rule == "w/o momentum" else eta[t]
            new_w, new_s = [], []
            for i, (g, a) in enumerate(zip(gradients, inputs, strict=True)):
                r = theta[t]
                if "implicit" in RULES[rule]:
                    r = r / (1 + r * a.dot(a))
                rho = torch.full_like(r, 0.2) if rule == "own erase rate" else r
                rho = rho if i in erased.get(rule, ()) else 0.0
                retained = keep[t] * w[i] if rule == "retain first" else w[i]
                new_s.append(beta * s[i] - r * g)
                new_w.append(keep[t] * w[i] - rho * torch.outer(retained @ a, a) + new_s[i])
            w, s = tuple(new_w), tuple(new_s)
            chosen = {"before": before, "after": w, "boundary": anchor}[at]
            answers.append(net.answer(chosen, q[t]))
        return torch.stack(answers)

    agree(b(x), each_head(recurrence, HEADS, q, k, v, theta, eta, keep))


def test_one_layer_with_a_residual_learns_what_a_matrix_would_of_the_rest(bench, flow, agree):
    """x + W x with target v is W x with target v − x."""
    block = """
    memories:
      M: {net: {kind: mlp, layers: 1, residual: true}, keys: k, values: v, rule: {rate: 0.2}}
    nodes:
      k: {op: linear, in: x}
      v: {op: linear, in: x}
      out: {read: M, query: x}
    """
    b = bench(block, WIDTH)
    x = flow(1, 5, WIDTH)
    w, answers = b.weight("M.W0")[0], []
    for x_t, k, v in zip(x[0], b.project(x, "k")[0], b.project(x, "v")[0], strict=True):
        w = w - 0.2 * torch.outer(k + w @ k - v, k)
        answers.append(x_t + w @ x_t)
    agree(b(x)[0], torch.stack(answers))


def test_three_layers_chain_their_gradients(bench, flow, agree):
    block = """
    memories:
      M:
        net: {kind: mlp, layers: 3, expansion: 1, activation: tanh}
        keys: k
        values: v
        rule: {rate: 0.2, erase: layers, implicit: true}
    nodes:
      k: {op: linear, in: x}
      v: {op: linear, in: x}
      out: {read: M, query: x}
    """
    b = bench(block, WIDTH)
    x = flow(1, 5, WIDTH)
    w, answers = [b.weight(f"M.W{i}")[0] for i in range(3)], []
    for x_t, k, v in zip(x[0], b.project(x, "k")[0], b.project(x, "v")[0], strict=True):
        a = [k, torch.tanh(w[0] @ k)]
        a.append(torch.tanh(w[1] @ a[1]))
        d = [w[2] @ a[2] - v]
        d.insert(0, (1 - a[2] ** 2) * (w[2].T @ d[0]))
        d.insert(0, (1 - a[1] ** 2) * (w[1].T @ d[0]))
        for i in range(3):
            r = 0.2 / (1 + 0.2 * a[i].dot(a[i]))
            w[i] = w[i] - r * torch.outer(w[i] @ a[i], a[i]) - r * torch.outer(d[i], a[i])
        answers.append(w[2] @ torch.tanh(w[1] @ torch.tanh(w[0] @ x_t)))
    agree(b(x)[0], torch.stack(answers))
