"""Objectives on a linear memory, each by its gradient written out: no autograd on this side."""

from __future__ import annotations

import pytest
import torch

HEADS, WIDTH, CHUNK = 2, 6, 3

BLOCK = """
memories:
  M:
    heads: 2
    level: chunk
    keys: KEYS
    values: VALUES
    objective: {OBJECTIVE}
    rule: {rate: eta, retain: 0.9, momentum: 0.5, RULE}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x}
  k2: {op: linear, in: x}
  v2: {op: linear, in: x}
  eta: {op: linear, in: x, out: 2, then: [sigmoid, {op: affine, scale: 0.4}]}
  delta: {op: linear, in: x, out: DELTAS, then: [sigmoid, {op: affine, scale: 2}]}
  out: {read: M, query: q}
"""


def block(objective, rule="implicit: false", keys="k", values="v", deltas=2):
    text = BLOCK.replace("OBJECTIVE", objective).replace("RULE", rule)
    return text.replace("KEYS", keys).replace("VALUES", values).replace("DELTAS", str(deltas))


def runs(x):
    return x.unflatten(-1, (HEADS, -1))


def huber_channel(r, delta):
    return r.clamp(-delta[..., None], delta[..., None])


def huber_norm(r, delta):
    inside = (r.square().sum(-1, keepdim=True)).sqrt() <= delta[..., None]
    return torch.where(inside, r, delta[..., None] * r.sign())


SLOPES = {  # objective: dL/d(answer) of r, δ
    "kind: huber, delta: delta": huber_channel,
    "kind: huber, delta: delta, switch: norm": huber_norm,
    "kind: huber, delta: [0.3, 1.5], scale: 2": lambda r, d: 2 * huber_channel(r, d),
    "kind: huber, delta: 0.7, switch: norm": huber_norm,
    "kind: lp, p: 3": lambda r, d: 3 * r.abs() * r,
    "kind: lp, p: 4, scale: 0.5": lambda r, d: 2 * r**3,
    "kind: lp, p: 1.5": lambda r, d: 1.5 * r.abs().sqrt() * r.sign(),
    "kind: lp, p: 1": lambda r, d: r.sign(),
    "kind: l2, scale: 2": lambda r, d: 2 * r,
    "kind: lp, p: 2, scale: 0.5": lambda r, d: r,
}


def deltas_of(objective, w, x):
    flow = 2 * (x @ w["delta.weight"].T).sigmoid()
    if "delta: delta" in objective:
        return flow.expand(*flow.shape[:2], HEADS)
    numbers = torch.tensor([0.3, 1.5] if "[" in objective else [0.7, 0.7], dtype=x.dtype)
    return numbers.expand(*x.shape[:2], HEADS)


@pytest.mark.parametrize("deltas", [1, 2])
@pytest.mark.parametrize("objective", SLOPES)
def test_a_memory_steps_down_the_slope_of_its_objective(bench, flow, held, objective, deltas):
    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T) for n in "qkv")
        eta, delta = 0.4 * (x @ w["eta.weight"].T).sigmoid(), deltas_of(objective, w, x)
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        s, answers = torch.zeros_like(a), []
        for t in range(x.shape[1]):
            anchor = a if t % CHUNK == 0 else anchor
            r = torch.einsum("bhvk,bhk->bhv", anchor, k[:, t]) - v[:, t]
            slope = SLOPES[objective](r, delta[:, t])
            g = torch.einsum("bhv,bhk->bhvk", slope, k[:, t])
            s = 0.5 * s - eta[:, t, :, None, None] * g
            a = 0.9 * a + s
            answers.append(torch.einsum("bhvk,bhk->bhv", a, q[:, t]).flatten(1))
        return torch.stack(answers, 1), {"M.A0": a, "M.S0": s, "M.anchor0": anchor}

    b = bench(block(objective, deltas=deltas), WIDTH, "{chunk: 3 tokens}")
    held(b, by_hand, flow(2, 8, WIDTH))


WINDOWS = {
    "l2": ("kind: l2", "implicit: false"),
    "dot": ("kind: dot", "implicit: false"),
    "huber by flow": ("kind: huber, delta: delta", "implicit: false"),
    "lp": ("kind: lp, p: 1.5", "implicit: false"),
    "implicit, erased": ("kind: l2", "implicit: true, erase: key"),
}


@pytest.mark.parametrize(("events", "own"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("case", WINDOWS)
def test_a_window_sums_over_the_last_positions_at_todays_anchor(
    bench, flow, held, case, events, own
):
    """Omega rule: every event of the last c positions, with the rate and δ that it came with."""
    objective, rule = WINDOWS[case]
    c, implicit, erases = 4, "implicit: true" in rule, "erase" in rule
    slope = SLOPES.get(objective, lambda r, d: r)
    text = block(
        f"{objective}, window: {c}",
        rule,
        "[k, k2]" if events == 2 else "k",
        "[v, v2]" if events == 2 else "{self: v}" if own else "v",
    )

    def by_hand(w, x):
        flows = {n: runs(x @ w[f"{n}.weight"].T) for n in ("q", "k", "v", "k2", "v2")}
        pairs = [(flows["k"], flows["v"]), (flows["k2"], flows["v2"])][:events]
        eta, delta = 0.4 * (x @ w["eta.weight"].T).sigmoid(), deltas_of(objective, w, x)
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        s, answers = torch.zeros_like(a), []
        for t in range(x.shape[1]):
            anchor = a if t % CHUNK == 0 else anchor
            push = torch.zeros_like(a)
            for i in range(max(0, t - c + 1), t + 1):
                for k, v in pairs:
                    target = torch.einsum("bhvk,bhk->bhv", anchor, v[:, i]) if own else v[:, i]
                    r = torch.einsum("bhvk,bhk->bhv", anchor, k[:, i]) - target
                    d = -target if case == "dot" else slope(r, delta[:, i])
                    rate = eta[:, i]
                    if implicit:
                        rate = rate / (1 + rate * k[:, i].square().sum(-1))
                    g = torch.einsum("bhv,bhk->bhvk", d, k[:, i])
                    push = push + rate[..., None, None] * g
            s = 0.5 * s - push
            gone = torch.zeros_like(a)
            for k, _ in pairs if erases else ():
                rate = eta[:, t] / (1 + eta[:, t] * k[:, t].square().sum(-1))
                old = torch.einsum("bhvk,bhk->bhv", a, k[:, t])
                gone = gone + rate[..., None, None] * torch.einsum("bhv,bhk->bhvk", old, k[:, t])
            a = 0.9 * a - gone + s
            answers.append(torch.einsum("bhvk,bhk->bhv", a, flows["q"][:, t]).flatten(1))
        last = slice(x.shape[1] - c + 1, None)
        kept = {"M.A0": a, "M.S0": s}
        for name, side in (("window_k", 0), ("window_v", 1)):
            both = torch.stack([pair[side][:, last] for pair in pairs], 2)  # position-major
            kept[f"M.{name}"] = both.flatten(1, 2).transpose(1, 2)
        rates = eta[:, last].repeat_interleave(events, 1)
        kept["M.window_rate"] = rates.transpose(1, 2)[..., None]
        if case == "huber by flow":
            kept["M.window_delta"] = delta[:, last].repeat_interleave(events, 1).transpose(1, 2)
        return torch.stack(answers, 1), kept

    held(bench(text, WIDTH, "{chunk: 3 tokens}"), by_hand, 0.7 * flow(2, 8, WIDTH))


def test_an_outer_gradient_through_an_empty_window_is_finite(bench, flow):
    """Blank events leave r = 0, where |r|^1.5 has no second derivative."""
    b = bench(block("kind: lp, p: 1.5, window: 6"), WIDTH, "{chunk: 3 tokens}")
    y, _ = b.attached(flow(1, 2, WIDTH))
    y.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in b.reference.parameters())
