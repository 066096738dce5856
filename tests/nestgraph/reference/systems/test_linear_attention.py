"""Hebbian matrix memories in their parallel forms: one masked product over the whole text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from by_hand import attention, conv, linear, outer, rms, rotate, runs, unit

from nestgraph.language.spec import load
from nestgraph.reference import Reference

HEADS, TIME = 2, 7


def heads_first(x):
    return runs(x, HEADS).transpose(1, 2)


def flat(x):
    return x.transpose(1, 2).flatten(2)


def causal(time=TIME):
    return torch.ones(time, time).tril().bool()


def test_linear_attention_averages_values_by_feature_products(shipped, flow, held):
    """y_t = Σ_{i≤t} ⟨R_t φ(q_t), R_i φ(k_i)⟩ v_i / Σ ⟨φ(q_t), φ(k_i)⟩ with φ = elu + 1."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k = (F.elu(linear(w, n, u)) + 1 for n in "qk")
        turned = heads_first(rotate(q, HEADS)) @ heads_first(rotate(k, HEADS)).mT
        total = (heads_first(q) @ heads_first(k).mT).tril().sum(-1, keepdim=True)
        y = (turned.tril() @ heads_first(linear(w, "v", u))) / (total + 1e-6)
        return x + linear(w, "o", flat(y))

    b = shipped("linear-attention", "linear_attention")
    held(b, by_hand, flow(2, TIME, 8), "0.linear_attention")


def test_retention_is_attention_by_distance(shipped, flow, held):
    """(Q Kᵀ ⊙ γ^(t−i)) V, with γ = 1 − 2^(−5−h) a head where nothing has moved them."""

    def by_hand(w, x):
        u = F.layer_norm(x, (8,), w["u.gain"], w["u.shift"], 1e-6)
        q, k = (rotate(linear(w, n, u), HEADS) for n in "qk")
        q, k, v = heads_first(q), heads_first(k) / 2, heads_first(linear(w, "v", u))
        gamma = 1 - 2.0 ** w["gamma.value"]
        t = torch.arange(x.shape[1], dtype=x.dtype)
        mask = (gamma[:, None, None] ** (t[:, None] - t[None, :]).clamp(min=0)).tril()
        y = rms(w, "y.then0", flat((q @ k.mT * mask) @ v), HEADS)
        return x + linear(w, "o", y * F.silu(linear(w, "gate", u)))

    b = shipped("retnet", "retention")
    fixed = b.weight("gamma.value", "0.retention")
    fixed.copy_(torch.tensor([-5.0, -6.0]))
    held(b, by_hand, flow(2, TIME, 8), "0.retention")


def test_the_heads_of_retnet_keep_what_its_paper_says():
    reference = Reference(load("retnet", {"vars.width": 8, "vars.depth": 1}).system)
    gamma = 1 - 2.0 ** reference.weights.named()["0.retention.gamma.value"]
    expected = [1 - 2.0 ** (-5 - h) for h in range(4)]
    assert torch.allclose(gamma, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def ssd(w, x, states=3):
    """Return the semiseparable matrix (C Bᵀ ⊙ exp(segment sums of −Δa)), times Δ V."""
    u = rms(w, "u", x)
    v, b, c = (F.silu(conv(w, f"{n}.then0", linear(w, n, u))) for n in "vbc")
    delta = F.softplus(linear(w, "delta", u) + w["delta.then0.bias"])  # (batch, time, heads)
    fading = -delta * w["alpha.a"].exp()
    total = fading.cumsum(1).transpose(1, 2)
    mask = (total[..., :, None] - total[..., None, :]).tril().exp().tril()
    scores = (c @ b.mT)[:, None] * mask  # B and C are shared by the heads
    steps = delta.transpose(1, 2)[..., None]
    values = heads_first(v)
    y = scores @ (steps * values) + w["skip.gain"][:, None, None] * values
    gated = flat(y) * F.silu(linear(w, "gate", u))
    return x + linear(w, "o", rms(w, "g.then0", gated))


def test_mamba_2_is_a_semiseparable_matrix(shipped, flow, held):
    b = shipped("mamba-2", "ssd", states=3)
    held(b, ssd, flow(2, TIME, 8), "0.ssd")


def test_mamba_2_is_gated_linear_attention(shipped, bench, flow, agree):
    """S ← α S + v (Δ k)ᵀ, asked by q: the same numbers with Δ put into the keys."""
    ours = shipped("mamba-2", "ssd", states=3)
    text = """
    memories:
      S: {heads: 2, keys: k, values: v, objective: dot, rule: {retain: alpha}, init: zero}
    nodes:
      u: {op: rms_norm, in: x}
      v: {op: linear, in: u, out: 16, then: [{op: conv, width: 4}, silu]}
      b: {op: linear, in: u, out: 3, then: [{op: conv, width: 4}, silu]}
      c: {op: linear, in: u, out: 3, then: [{op: conv, width: 4}, silu]}
      b_heads: {op: tile, in: b, times: 2}
      c_heads: {op: tile, in: c, times: 2}
      delta: {op: linear, in: u, out: 2, then: [bias, softplus]}
      wide: {op: repeat, in: delta, times: 3}
      k: {op: product, in: [b_heads, wide]}
      alpha: {op: decay, in: delta}
      y: {read: S, query: c_heads}
      skip: {op: gain, in: v, heads: 2}
      s: {op: sum, in: [y, skip]}
      gate: {op: linear, in: u, out: 16, then: [silu]}
      g: {op: product, in: [s, gate], then: [rms_norm]}
      o: {op: linear, in: g, out: 8}
      out: {op: sum, in: [x, o]}
    """
    theirs = bench(text, 8)
    named = theirs.reference.weights.named()
    for name, parameter in ours.reference.weights.named().items():
        if name.startswith("0.ssd."):
            named[name.replace("0.ssd.", "0.b.")].data = parameter.data
    x = flow(2, TIME, 8)
    agree(ours(x), theirs(x))


def test_the_adaptive_mlp_of_an_ada_transformer(shipped, flow, held):
    """W_t = W_0 + Σ η v kᵀ, so y = W_0 a_t + Σ_{i≤t} η_i ⟨k_i, a_t⟩ v_i."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        a = F.silu(linear(w, "a", u))
        k = unit(F.silu(linear(w, "k", u)), 1)
        eta = 0.1 * linear(w, "eta", u).sigmoid()
        scores = (a @ k.mT).tril()
        return x + a @ w["W.W0"][0].mT + scores @ (eta * linear(w, "v", u))

    b = shipped("ada-transformer", "adaptive_mlp", hidden=12)
    held(b, by_hand, flow(2, TIME, 8), "0.adaptive_mlp")


def test_the_attention_of_an_ada_transformer(shipped, flow, held):
    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k = (rotate(linear(w, n, u), HEADS) for n in "qk")
        y = attention(q, k, linear(w, "v", u), HEADS, causal(x.shape[1]))
        return x + linear(w, "o", y)

    b = shipped("ada-transformer", "attention")
    held(b, by_hand, flow(2, TIME, 8), "0.attention")


def test_the_selective_scan_of_samba(shipped, flow, held):
    """Each channel has its own states: h ← exp(−Δ a) h + Δ B x, y = ⟨C, h⟩ + D x."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        v = F.silu(conv(w, "v.then0", linear(w, "v", u)))
        b, c = linear(w, "b", v), linear(w, "c", v)
        delta = F.softplus(linear(w, "delta", linear(w, "low", v)) + w["delta.then0.bias"])
        a = w["alpha.a"].exp().unflatten(0, (16, 3))
        h, answers = torch.zeros(2, 16, 3, dtype=x.dtype), []
        for t in range(x.shape[1]):
            fade = torch.exp(-delta[:, t, :, None] * a)
            h = fade * h + outer(delta[:, t] * v[:, t], b[:, t])
            answers.append((h * c[:, t, None]).sum(-1) + w["skip.gain"] * v[:, t])
        y = torch.stack(answers, 1) * F.silu(linear(w, "gate", u))
        return x + linear(w, "o", y), {"H.A0": h[:, None]}

    b = shipped("samba", "mamba", states=3, rank=2)
    held(b, by_hand, flow(2, TIME, 8), "0.mamba")


def test_the_window_attention_of_samba(shipped, flow, held):
    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k = (rotate(linear(w, n, u), HEADS) for n in "qk")
        seen = causal(x.shape[1]).triu(-2)  # itself and the two before it
        y = attention(q, k, linear(w, "v", u), HEADS, seen)
        return x + linear(w, "o", y)

    b = shipped("samba", "window_attention", window=3, rank=2)
    held(b, by_hand, flow(2, TIME, 8), "0.window_attention")
