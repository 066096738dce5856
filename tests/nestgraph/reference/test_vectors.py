"""Vector memories, and matrices read whole."""

from __future__ import annotations

import pytest
import torch

HEADS, WIDTH, CHUNK = 2, 6, 3


def runs(x):
    return x.unflatten(-1, (HEADS, -1))


VECTOR = """
memories:
  V: {net: vector, heads: 2, level: chunk, values: VALUES, objective: OBJECTIVE, rule: {RULE}}
nodes:
  v: {op: linear, in: x}
  v2: {op: linear, in: x}
  eta: {op: linear, in: x, out: 2, then: [sigmoid]}
  out: {read: V, at: AT}
"""


@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize("events", [1, 2])
@pytest.mark.parametrize("objective", ["l2", "dot", "huber"])
def test_a_vector_is_its_own_answer(bench, flow, held, objective, events, at):
    """An average, a sum or a robust average, at the anchor, with momentum and retention."""
    kind = "{kind: huber, delta: 0.5}" if objective == "huber" else objective
    text = VECTOR.replace("OBJECTIVE", kind).replace("AT", at)
    text = text.replace("VALUES", "[v, v2]" if events == 2 else "v")
    text = text.replace("RULE", "rate: eta, momentum: 0.5, retain: [0.9, 0.7], retain_first: true")

    def by_hand(w, x):
        values = [runs(x @ w[f"{n}.weight"].T) for n in ("v", "v2")][:events]
        eta = (x @ w["eta.weight"].T).sigmoid()[..., None]
        keep = torch.tensor([0.9, 0.7], dtype=x.dtype)[:, None]
        a = anchor = w["V.W0"].expand(2, -1, -1)
        s, kept, answers = torch.zeros_like(a), 1.0, []
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                anchor, kept = a, 1.0
            before, kept = a, kept * keep
            s = 0.5 * s
            for v in values:
                r = kept * anchor - v[:, t]
                slope = {"l2": r, "dot": -v[:, t], "huber": r.clamp(-0.5, 0.5)}[objective]
                s = s - eta[:, t] * slope
            a = keep * a + s
            answers.append({"before": before, "after": a, "boundary": anchor}[at].flatten(1))
        return torch.stack(answers, 1), {"V.A0": a, "V.S0": s, "V.anchor0": anchor}

    b = bench(text, WIDTH, "{chunk: 3 tokens}")
    held(b, by_hand, flow(2, 8, WIDTH))
    assert b.with_state(flow(2, 8, WIDTH))[1]["0.b.V.A0"].shape == (2, HEADS, 3)


def test_a_vector_with_a_window_keeps_values_and_no_keys(bench, flow, held):
    text = VECTOR.replace("OBJECTIVE", "{kind: l2, window: 3}").replace("AT", "after")
    text = text.replace("VALUES", "v").replace("RULE", "rate: eta, reduce: mean")

    def by_hand(w, x):
        v, eta = runs(x @ w["v.weight"].T), (x @ w["eta.weight"].T).sigmoid()[..., None]
        theta = anchor = w["V.W0"].expand(2, -1, -1)
        a, answers = anchor, []
        for t in range(x.shape[1]):
            anchor = theta if t % CHUNK == 0 else anchor
            a = theta if t % CHUNK == 0 else a
            for i in range(max(0, t - 2), t + 1):
                a = a - eta[:, i] * (anchor - v[:, i])
            theta = anchor + (a - anchor) / (t % CHUNK + 1)
            answers.append(theta.flatten(1))
        window = {"V.window_v": v[:, -2:].transpose(1, 2)}
        return torch.stack(answers, 1), {"V.A0": a, **window}

    b = bench(text, WIDTH, "{chunk: 3 tokens}")
    held(b, by_hand, flow(2, 8, WIDTH))
    assert "0.b.V.window_k" not in b.with_state(flow(1, 3, WIDTH))[1]


def test_a_running_mean_from_a_vector(bench, flow, agree):
    """`l2` with rate 1/t, as a flow, is the mean of everything so far."""
    text = """
    memories: {V: {net: vector, values: x, rule: {rate: share}, init: zero}}
    nodes:
      t: {op: position}
      share: {op: power, in: t, exponent: -1}
      out: {read: V}
    """
    x = flow(2, 7, WIDTH)
    count = torch.arange(1, 8, dtype=x.dtype)[:, None]
    agree(bench(text, WIDTH)(x), x.cumsum(1) / count)


@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize("mirror", ["none", "softmax"])
def test_a_matrix_is_read_row_by_row_head_by_head(bench, flow, held, at, mirror):
    text = f"""
    memories:
      M: {{heads: 2, level: chunk, keys: k, values: v,
          rule: {{rate: 0.3, retain: 0.9, mirror: {mirror}}}}}
    nodes:
      k: {{op: linear, in: x}}
      v: {{op: linear, in: x, out: 4}}
      m: {{read: M, at: {at}}}
      out: {{op: linear, in: m, out: 6}}
    """

    def by_hand(w, x):
        k, v = (runs(x @ w[f"{n}.weight"].T) for n in "kv")
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        mu = (lambda m: m.softmax(-1)) if mirror == "softmax" else (lambda m: m)
        answers = []
        for t in range(x.shape[1]):
            anchor = a if t % CHUNK == 0 else anchor
            before = a
            r = torch.einsum("bhvk,bhk->bhv", mu(anchor), k[:, t]) - v[:, t]
            a = 0.9 * a - 0.3 * torch.einsum("bhv,bhk->bhvk", r, k[:, t])
            shown = mu({"before": before, "after": a, "boundary": anchor}[at])
            flat = [shown[:, h, i, j] for h in range(2) for i in range(2) for j in range(3)]
            answers.append(torch.stack(flat, -1))
        return torch.stack(answers, 1) @ w["out.weight"].T, {"M.A0": a}

    held(bench(text, WIDTH, "{chunk: 3 tokens}"), by_hand, flow(2, 8, WIDTH))
