"""Linear memories against the recurrences of the literature, written out."""

from __future__ import annotations

import pytest
import torch

HEADS, D, WIDTH = 2, 3, 6

QKV = """
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x}
  out: {read: M, query: q, at: after}
"""


def by_hand_flows(bench, x):
    return (bench.project(x, name) for name in ("q", "k", "v"))


def test_a_dot_memory_is_linear_attention(bench, flow, agree):
    b = bench("memories: {M: {keys: k, values: v, objective: dot, init: zero}}" + QKV, WIDTH)
    x = flow(2, 7, WIDTH)
    q, k, v = by_hand_flows(b, x)

    scores = torch.tril(q @ k.mT)
    agree(b(x), scores @ v)


def test_heads_that_forget_at_fixed_rates_are_a_retention_network(bench, flow, agree, each_head):
    memory = (
        "{heads: 2, keys: k, values: v, objective: dot, rule: {retain: [0.9, 0.6]}, init: zero}"
    )
    b = bench(f"memories: {{M: {memory}}}" + QKV, WIDTH)
    x = flow(2, 7, WIDTH)

    def parallel(head, q, k, v):
        t = torch.arange(len(q))
        decay = torch.tensor((0.9, 0.6)[head], dtype=q.dtype) ** (t[:, None] - t[None, :])
        return (q @ k.mT * torch.tril(decay)) @ v

    agree(b(x), each_head(parallel, HEADS, *by_hand_flows(b, x)))


DELTA = """
memories:
  M: {heads: 2, keys: k, values: v, objective: l2, rule: {rate: beta}}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
  v: {op: linear, in: x, out: 8}
  beta: {op: linear, in: x, out: 2, then: [sigmoid]}
  y: {read: M, query: q}
  out: {op: linear, in: y, out: 6}
"""


def test_an_l2_memory_is_the_delta_rule(bench, flow, agree, each_head):
    b = bench(DELTA, WIDTH)
    x = flow(2, 7, WIDTH)
    k = unit(b.project(x, "k"), HEADS)
    beta = b.project(x, "beta").sigmoid()

    def delta_rule(head, q, k, v, beta):
        s = b.weight("M.W0")[head]  # values wider than keys
        answers = []
        for q_t, k_t, v_t, beta_t in zip(q, k, v, beta, strict=True):
            s = s - beta_t * torch.outer(s @ k_t - v_t, k_t)
            answers.append(s @ q_t)
        return torch.stack(answers)

    y = each_head(delta_rule, HEADS, b.project(x, "q"), k, b.project(x, "v"), beta)
    agree(b(x), b.project(y, "out"))


def test_retain_first_is_the_gated_delta_rule(bench, flow, agree, each_head):
    gated = DELTA.replace("rate: beta}", "rate: beta, retain: alpha, retain_first: true}")
    b = bench(gated + "  alpha: {op: linear, in: x, out: 2, then: [softplus, decay]}", WIDTH)
    x = flow(2, 7, WIDTH)
    k = unit(b.project(x, "k"), HEADS)
    beta = b.project(x, "beta").sigmoid()
    softplus = torch.log1p(b.project(x, "alpha").exp())
    alpha = torch.exp(-b.weight("alpha.then1.a").exp() * softplus)

    def gated_delta_rule(head, q, k, v, beta, alpha):
        s = b.weight("M.W0")[head]
        answers = []
        for q_t, k_t, v_t, beta_t, alpha_t in zip(q, k, v, beta, alpha, strict=True):
            s = alpha_t * s
            s = s + beta_t * torch.outer(v_t - s @ k_t, k_t)
            answers.append(s @ q_t)
        return torch.stack(answers)

    y = each_head(gated_delta_rule, HEADS, b.project(x, "q"), k, b.project(x, "v"), beta, alpha)
    ours, state = b.with_state(x)
    agree(ours, b.project(y, "out"))
    assert "0.b.M.kept" not in state  # nothing outlives a position whose tick comes at once


CHUNK = 3
DGD = """
memories:
  M:
    heads: 2
    level: chunk
    keys: k
    values: v
    objective: {kind: OBJECTIVE, scale: 1.5}
    rule: {RULE}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x}
  eta: {op: linear, in: x, out: 2, then: [sigmoid]}
  alpha: {op: linear, in: x, out: 1, then: [sigmoid]}
  beta: {op: linear, in: x, out: 2, then: [sigmoid]}
  out: {read: M, query: q, at: AT}
"""

BASE = "rate: eta, retain: alpha"
RULES = {
    "plain": BASE,
    "implicit": f"{BASE}, implicit: true",
    "erase": f"{BASE}, erase: key",
    "dgd": f"{BASE}, erase: key, implicit: true",
    "erase in all layers": f"{BASE}, erase: layers, implicit: true",
    "own erase rate": f"{BASE}, erase: {{rate: 0.3}}, implicit: true",
    "own erase rates": f"{BASE}, erase: {{rate: beta}}",
    "momentum": f"{BASE}, momentum: beta, erase: key, implicit: true",
    "momentum alone": "rate: eta, momentum: [0.5, 0.25]",
    "retain first": f"{BASE}, retain_first: true",
    "retain first, erase": f"{BASE}, retain_first: true, erase: key, momentum: beta",
}
CASES = [(rule, "l2") for rule in RULES]
CASES += [(rule, "dot") for rule in RULES if rule != "implicit"]  # refused: nothing to solve for


@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize(("rule", "objective"), CASES)
def test_a_chunked_memory_takes_gradients_at_its_anchor(
    bench, flow, agree, each_head, rule, objective, at
):
    """W_t = W_{t−1}(α I − ρ k kᵀ) + S_t, with the gradient at the chunk's first weights."""
    text = DGD.replace("RULE", RULES[rule]).replace("OBJECTIVE", objective).replace("AT", at)
    b = bench(text, WIDTH, "{chunk: 3 tokens}")
    x = flow(2, 8, WIDTH)
    eta, alpha, beta = (b.project(x, f"{n}").sigmoid() for n in ("eta", "alpha", "beta"))

    def recurrence(head, q, k, v, eta, alpha, beta):
        w = anchor = b.weight("M.W0")[head]
        s = torch.zeros_like(w)
        kept = 1.0
        answers = []
        for t in range(len(q)):
            if t % CHUNK == 0:
                anchor, kept = w, 1.0
            before = w
            kept = kept * alpha[t] if "alpha" in RULES[rule] else kept
            seen = kept * anchor if "first" in rule else anchor
            g = 1.5 * torch.outer(seen @ k[t] - v[t] if objective == "l2" else -v[t], k[t])
            r = eta[t] / (1 + eta[t] * k[t].dot(k[t])) if "implicit" in RULES[rule] else eta[t]
            rho = {"own erase rate": 0.3, "own erase rates": beta[t]}.get(rule, r)
            rho = rho if "erase" in RULES[rule] else 0.0
            decay = {"momentum alone": (0.5, 0.25)[head]}.get(rule, beta[t])
            s = (decay if "momentum" in RULES[rule] else 0.0) * s - r * g
            keep = alpha[t] if "alpha" in RULES[rule] else 1.0
            retained = keep * w if "first" in rule else w
            w = keep * w - rho * torch.outer(retained @ k[t], k[t]) + s
            answers.append({"before": before, "after": w, "boundary": anchor}[at] @ q[t])
        return torch.stack(answers)

    y = each_head(recurrence, HEADS, *by_hand_flows(b, x), eta, alpha, beta)
    agree(b(x), y)


def test_delta_gradient_descent_is_the_proximal_step(bench, flow, agree):
    """Each write ends at argmin ½‖W k − v‖² + ‖W − W_{t−1}‖² / (2η), forgetting before it."""
    memory = "{keys: k, values: v, objective: OBJECTIVE, rule: {rate: 0.7, implicit: true, MORE}}"
    block = f"memories: {{M: {memory}}}"
    x = flow(1, 1, WIDTH)
    for objective, more, retain in (
        ("dot", "erase: key", 1.0),
        ("l2", "", 1.0),
        ("dot", "erase: key, retain: 0.8, retain_first: true", 0.8),
        ("l2", "retain: 0.8, retain_first: true", 0.8),
    ):
        b = bench(block.replace("OBJECTIVE", objective).replace("MORE", more) + QKV, WIDTH)
        _, k, v = (y[0, 0] for y in by_hand_flows(b, x))
        _, state = b.with_state(x)
        start = retain * b.weight("M.W0")[0]
        normal = torch.outer(k, k) + torch.eye(WIDTH, dtype=k.dtype) / 0.7
        best = torch.linalg.solve(normal, (torch.outer(v, k) + start / 0.7).T).T
        agree(state["0.b.M.A0"][0, 0], best)


def test_a_memory_that_answers_before_it_writes_can_make_its_own_keys(
    bench, flow, agree, each_head
):
    """A self-referential matrix: it makes its key and rate, and its answer is its target."""
    block = """
    memories:
      W: {heads: 2, keys: k, values: {self: q}, rule: {rate: beta}}
    nodes:
      u: {op: softmax, in: x, heads: 2}
      m: {op: linear, in: x}
      k: {read: W, query: u, at: before, then: [{op: softmax, heads: 2}]}
      q: {read: W, query: m, at: before, then: [{op: softmax, heads: 2}]}
      z: {read: W, query: x, at: before}
      beta: {op: mean, in: z, heads: 2, then: [sigmoid]}
      out: {read: W, query: q, at: before}
    """
    b = bench(block, WIDTH)
    x = flow(2, 6, WIDTH)

    def recurrence(head, x, m):
        w = b.weight("W.W0")[head]
        answers = []
        for x_t, m_t in zip(x, m, strict=True):
            k, q = (w @ x_t.softmax(-1)).softmax(-1), (w @ m_t).softmax(-1)
            beta = (w @ x_t).mean().sigmoid()
            answers.append(w @ q)
            w = w + beta * torch.outer(w @ q - w @ k, k)
        return torch.stack(answers)

    agree(b(x), each_head(recurrence, HEADS, x, b.project(x, "m")))


def unit(x, heads):
    runs = x.unflatten(-1, (heads, -1))
    return (runs / (runs.square().sum(-1, keepdim=True) + 1e-6).sqrt()).flatten(-2)
