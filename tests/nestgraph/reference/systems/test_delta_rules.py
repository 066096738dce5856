"""Delta rules: as a linear system over the whole text, or as states d_k × d_v, as printed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from by_hand import conv, layer_norm, linear, rms, runs, unit

HEADS, TIME = 2, 7


def heads_first(x):
    return runs(x, HEADS).transpose(1, 2)


def flat(x):
    return x.transpose(1, 2).flatten(2)


def sequences(w, u, normed="qk"):
    """Yield q, k, v behind their convolutions, (batch, heads, time, width)."""
    for name in "qkv":
        y = F.silu(conv(w, f"{name}.then0", linear(w, name, u)))
        yield heads_first(unit(y, HEADS) if name in normed else y)


def test_deltanet_is_a_triangular_system(shipped, flow, held):
    """U = (I + tril(diag(β) K Kᵀ, −1))⁻¹ diag(β) V and O = tril(Q Kᵀ) U: the WY form."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k, v = sequences(w, u)
        beta = linear(w, "beta", u).sigmoid().transpose(1, 2)[..., None]
        unity = torch.eye(x.shape[1], dtype=x.dtype)
        system = unity + (beta * (k @ k.mT)).tril(-1)
        new = torch.linalg.solve_triangular(system, beta * v, upper=False)
        y = (q / 2 @ k.mT).tril() @ new
        state = (k.mT @ new).mT
        return x + linear(w, "o", rms(w, "y.then0", flat(y), HEADS)), {"M.A0": state}

    held(shipped("deltanet", "delta"), by_hand, flow(2, TIME, 8), "0.delta")


def gates(w, u):
    """Return g = −exp(a) softplus(…) and β, (batch, time, heads)."""
    g = -w["alpha.then2.a"].exp() * F.softplus(linear(w, "alpha", u) + w["alpha.then0.bias"])
    return g, linear(w, "beta", u).sigmoid()


def output(w, x, u, y):
    z = rms(w, "z", y, HEADS) * F.silu(linear(w, "gate", u))
    return x + linear(w, "o", z)


def test_gated_deltanet_forgets_before_it_measures(shipped, flow, held):
    """S' = e^g S; S = S' + β k (v − S'ᵀ k)ᵀ; o = Sᵀ q, S of d_k × d_v."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k, v = sequences(w, u)
        g, beta = gates(w, u)
        s, answers = torch.zeros(2, HEADS, 4, 8, dtype=x.dtype), []
        for t in range(x.shape[1]):
            s = g[:, t].exp()[..., None, None] * s
            miss = v[:, :, t] - (s.mT @ k[:, :, t, :, None])[..., 0]
            s = s + beta[:, t, :, None, None] * k[:, :, t, :, None] * miss[..., None, :]
            answers.append((s.mT @ (q[:, :, t, :, None] / 2))[..., 0].flatten(1))
        return output(w, x, u, torch.stack(answers, 1)), {"M.A0": s.mT}

    held(shipped("gated-deltanet", "gated_delta"), by_hand, flow(2, TIME, 8), "0.gated_delta")


def test_comba_measures_with_a_shorter_key_and_asks_around_it(shipped, flow, held):
    """S = S' + β k (v − S'ᵀ p)ᵀ with p = σ(d) k; o = Sᵀ (q − D p)."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k, v = sequences(w, u)
        g, beta = gates(w, u)
        p = w["d.value"].sigmoid()[:, None, None] * k
        asked = (q - w["back.gain"][:, None, None] * p) / 2
        s, answers = torch.zeros(2, HEADS, 4, 8, dtype=x.dtype), []
        for t in range(x.shape[1]):
            s = g[:, t].exp()[..., None, None] * s
            miss = v[:, :, t] - (s.mT @ p[:, :, t, :, None])[..., 0]
            s = s + beta[:, t, :, None, None] * k[:, :, t, :, None] * miss[..., None, :]
            answers.append((s.mT @ asked[:, :, t, :, None])[..., 0].flatten(1))
        return output(w, x, u, torch.stack(answers, 1)), {"S.A0": s.mT}

    held(shipped("comba", "comba"), by_hand, flow(2, TIME, 8), "0.comba")


def test_rwkv_7_erases_under_a_key_of_its_own(shipped, flow, held):
    """S ← S (diag(w) − κ̂ (κ̂ ⊙ a)ᵀ) + v k̃ᵀ, o = S r, and the bonus of r ⊙ k̃."""

    def by_hand(w, x):
        u = layer_norm(w, "u", x)
        shifted = {n: conv(w, f"u_{n}", u) for n in "rkvwag"}
        r, k, v = (linear(w, n, shifted[n]) for n in "rkv")
        low = linear(w, "w", linear(w, "w_low", shifted["w"]).tanh())
        keep = torch.exp(-0.6065 * (low + w["w.then0.bias"]).sigmoid())
        rate = (linear(w, "a", linear(w, "a_low", shifted["a"])) + w["a.then0.bias"]).sigmoid()
        kappa = unit(k * w["kappa.gain"], HEADS)
        key = k * (1 + (rate - 1) * w["more.then0.gain"])
        gate = linear(w, "gate", linear(w, "g_low", shifted["g"]).sigmoid())
        bonus = runs(r * key * w["rk.then0.gain"], HEADS).sum(-1, keepdim=True) * runs(v, HEADS)
        r, v, key, kappa, rate, keep = (runs(f, HEADS) for f in (r, v, key, kappa, rate, keep))
        s, answers = torch.zeros(2, HEADS, 4, 4, dtype=x.dtype), []
        for t in range(x.shape[1]):
            e = kappa[:, t]
            turn = torch.diag_embed(keep[:, t]) - e[..., :, None] * (e * rate[:, t])[..., None, :]
            s = s @ turn + v[:, t, ..., :, None] * key[:, t, ..., None, :]
            answers.append((s @ r[:, t, ..., None])[..., 0].flatten(1))
        y = layer_norm(w, "y.then0", torch.stack(answers, 1), HEADS) + bonus.flatten(2)
        return x + linear(w, "o", y * gate), {"S.A0": s}

    held(shipped("rwkv-7", "time_mix", rank=3), by_hand, flow(2, TIME, 8), "0.time_mix")


def test_srwm_makes_its_own_keys_queries_and_four_rates(shipped, flow, held):
    """[y q k β] = W x; W ← W + σ(β) ⊙ (W φ(q) − W φ(k)) φ(k)ᵀ, one β for each block of rows."""

    def by_hand(w, x):
        u = runs(rms(w, "u", x), HEADS)
        m, answers = w["W.W0"].expand(2, -1, -1, -1), []
        for t in range(x.shape[1]):
            z = (m @ u[:, t, ..., None])[..., 0]
            y, q, k, beta = z.split((4, 4, 4, 4), -1)
            q, k = q.softmax(-1), k.softmax(-1)
            rates = beta.sigmoid().repeat_interleave(4, -1)
            answers.append(y.flatten(1))
            error = (m @ q[..., None] - m @ k[..., None])[..., 0]
            m = m + (rates * error)[..., :, None] * k[..., None, :]
        return x + linear(w, "o", torch.stack(answers, 1)), {"W.A0": m}

    held(shipped("srwm", "srwm"), by_hand, flow(2, TIME, 8), "0.srwm")


MEMORY = """
memories:
  M: {heads: 2, level: LEVEL, keys: k, values: v, objective: OBJECTIVE, rule: {RULE}, init: zero}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
  v: {op: linear, in: x}
  alpha: {op: linear, in: x, out: 2, then: [sigmoid]}
  beta: {op: linear, in: x, out: 2, then: [sigmoid]}
  ratio: {op: divide, in: [beta, alpha]}
  wide: {op: repeat, in: alpha, times: 4}
  scaled: {op: product, in: [v, wide]}
  out: {read: M, query: q}
"""


def memory(rule, objective="l2", level="token", values="v"):
    text = MEMORY.replace("RULE", rule).replace("OBJECTIVE", objective).replace("LEVEL", level)
    return text.replace("values: v", f"values: {values}")


def gated_delta(b, x, ratio=False):
    """Return S ← α S; S ← S + β k (v − Sᵀ k)ᵀ, or with β / α and α v in the place of β and v."""
    q, k, v = (runs(b.project(x, n), HEADS) for n in "qkv")
    k = k / (k.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    alpha, beta = (b.project(x, n).sigmoid()[..., None] for n in ("alpha", "beta"))
    if ratio:
        beta, v = beta / alpha, alpha * v
    s, answers = torch.zeros(2, HEADS, 4, 4, dtype=x.dtype), []
    for t in range(x.shape[1]):
        s = alpha[:, t, ..., None] * s
        miss = v[:, t] - (s.mT @ k[:, t, ..., None])[..., 0]
        s = s + beta[:, t, ..., None] * k[:, t, ..., None] * miss[..., None, :]
        answers.append((s.mT @ q[:, t, ..., None])[..., 0].flatten(1))
    return torch.stack(answers, 1)


def test_titans_without_momentum_and_depth_is_gated_deltanet(bench, flow, agree):
    """Under `retain_first`; without it, with β = η/α and values α v."""
    x = flow(2, TIME, 8)
    for more in ("retain_first: true", "retain_first: true, momentum: 0, step: 1"):
        b = bench(memory(f"rate: beta, retain: alpha, {more}"), 8)
        agree(b(x), gated_delta(b, x))
    b = bench(memory("rate: beta, retain: alpha"), 8)
    agree(b(x), gated_delta(b, x, ratio=True))


def test_the_ratio_written_as_a_spec_gives_titans_back(bench, flow, agree):
    """The same identity with a memory on each side."""
    x = flow(2, TIME, 8)
    plain = bench(memory("rate: beta, retain: alpha"), 8)
    gated = bench(memory("rate: ratio, retain: alpha, retain_first: true", values="scaled"), 8)
    for name, parameter in plain.reference.weights.named().items():
        gated.reference.weights.named()[name].data = parameter.data
    agree(plain(x), gated(x))


def test_one_token_of_omega_is_the_delta_rule(bench, flow, agree):
    x = flow(2, TIME, 8)
    b = bench(memory("rate: beta, retain: alpha, retain_first: true", "{kind: l2, window: 1}"), 8)
    agree(b(x), gated_delta(b, x))


def test_linear_self_modification_is_a_gated_delta_rule(bench, flow, agree):
    """M ← M(α I − η k kᵀ) − η (M_ξ k − v̂) kᵀ: with u = v̂ − M_ξ k a gated delta rule of β = η/α
    and values α u, chunk by chunk, v̂ the memory's own answer at M_ξ.
    """
    text = memory("rate: beta, retain: alpha, erase: key", level="chunk", values="{self: v}")
    b = bench(text.replace("init: zero", "init: learned"), 8, "{chunk: 3 tokens}")
    x = flow(2, TIME, 8)
    q, k, v = (runs(b.project(x, n), HEADS) for n in "qkv")
    k = k / (k.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    alpha, eta = (b.project(x, n).sigmoid()[..., None] for n in ("alpha", "beta"))
    s = frozen = b.weight("M.W0").mT.expand(2, -1, -1, -1)  # d_k × d_v
    answers = []
    for t in range(TIME):
        frozen = s if t % 3 == 0 else frozen
        u = ((v[:, t] - k[:, t])[..., None, :] @ frozen)[..., 0, :]
        s = alpha[:, t, ..., None] * s
        beta, value = eta[:, t] / alpha[:, t], u * alpha[:, t]
        # −η M k kᵀ + η u kᵀ = β (α u − (α M) k) kᵀ with β = η/α
        miss = value - (s.mT @ k[:, t, ..., None])[..., 0]
        s = s + beta[..., None] * k[:, t, ..., None] * miss[..., None, :]
        answers.append((s.mT @ q[:, t, ..., None])[..., 0].flatten(1))
    agree(b(x), torch.stack(answers, 1))
