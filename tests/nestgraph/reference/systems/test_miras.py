"""Miras (Moneta, Yaad, Memora) and the Omega rule (OmegaNet, Atlas), and DLA beside them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Deep, conv, gelu, linear, polynomial, rms, runs, unit, wide

HEADS, TIME, CHUNK = 2, 8, 3


def sigmoid(w, name, u, scale=1.0):
    return scale * (linear(w, name, u) + w.get(f"{name}.then0.bias", 0.0)).sigmoid()


def output(w, x, u, answers):
    y = torch.stack(answers, 1).flatten(2)
    z = rms(w, "z", y, HEADS) * F.silu(linear(w, "gate", u))
    return x + linear(w, "o", z)


def first_weights(w):
    return [w[f"M.W{i}"].expand(2, -1, -1, -1) for i in (0, 1)]


def miras_flows(w, u):
    """Return unit queries and keys, values of mean square 1."""
    q, k, v = (conv(w, f"{n}.then0", linear(w, n, u)) for n in "qkv")
    flows = (unit(q, HEADS), unit(k, HEADS), rms(w, "v.then1", v, HEADS))
    return (runs(f, HEADS) for f in flows)


def moneta(a):
    """Return W = A / ‖A‖_4², and the slope of Σ|r|³."""
    return a / (a.abs() ** 4).sum((-2, -1), keepdim=True) ** 0.5


SYSTEMS = {
    "moneta": (moneta, lambda r, _: 3 * r * r.abs()),
    "yaad": (
        lambda a: a,
        lambda r, delta: torch.where(
            r.norm(dim=-1, keepdim=True) <= delta[..., None], r, delta[..., None] * r.sign()
        ),
    ),
    "memora": (lambda a: a.exp() / a.exp().sum(-1, keepdim=True), lambda r, _: r),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_miras(shipped, flow, held, system):
    """A ← α A − η ∇ℓ(W), W = μ(A), gradients at the chunk's start; x + LN(W1 gelu(W0 x))."""
    mirror, slope = SYSTEMS[system]

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k, v = miras_flows(w, u)
        eta, alpha = sigmoid(w, "eta", u, 0.1), sigmoid(w, "alpha", u)
        delta = eta
        if system == "yaad":
            delta = F.softplus(linear(w, "delta", u) + w["delta.then0.bias"])
        net = Deep(gelu, "layer_norm", w["M.norm.gain"], w["M.norm.shift"])
        a, answers = first_weights(w), []
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                frozen = [mirror(m) for m in a]

            def error(y, t=t):
                return slope(y - v[:, t], delta[:, t])

            slopes, _ = net.slopes(frozen, k[:, t], error)
            pairs = zip(a, slopes, strict=True)
            a = [wide(alpha[:, t], m) * m - wide(eta[:, t], g) * g for m, g in pairs]
            answers.append(net.answer([mirror(m) for m in a], q[:, t]))
        return output(w, x, u, answers), {f"M.A{i}": m for i, m in enumerate(a)}

    b = shipped(system, system, chunk=CHUNK, expansion=1.5)
    if system == "yaad":  # errors on both sides of δ
        b.weight("delta.then0.bias", "0.yaad").fill_(0.5)
    held(b, by_hand, flow(2, TIME, 8), f"0.{system}")


def test_memoras_update_is_a_softmax_of_logarithms(shipped, flow, agree):
    """KL retention, W_t = softmax(α log W_{t−1} − η ∇ℓ): what the mirror is short for."""
    b = shipped("memora", "memora", chunk=1, expansion=1.5)
    x = flow(2, TIME, 8)
    w = {n.removeprefix("0.memora."): p.detach() for n, p in b.reference.weights.named().items()}
    u = rms(w, "u", x)
    _, k, v = miras_flows(w, u)
    eta, alpha = sigmoid(w, "eta", u, 0.1), sigmoid(w, "alpha", u)
    net = Deep(gelu, "layer_norm", w["M.norm.gain"], w["M.norm.shift"])
    weights = [m.softmax(-1) for m in first_weights(w)]
    for t in range(TIME):
        slopes, _ = net.slopes(weights, k[:, t], lambda y, t=t: y - v[:, t])
        pairs = zip(weights, slopes, strict=True)
        weights = [
            (wide(alpha[:, t], m) * m.log() - wide(eta[:, t], g) * g).softmax(-1) for m, g in pairs
        ]
    _, state = b.with_state(x)
    for part, matrix in enumerate(weights):
        agree(state[f"0.memora.M.A{part}"].softmax(-1), matrix)


def omega_flows(w, u):
    """Yield φ(q) and φ(k), polynomials with learned coefficients brought to length 1; unit
    values.
    """
    for name in "qk":
        y = rms(w, f"{name}.then1", conv(w, f"{name}.then0", linear(w, name, u)), HEADS)
        yield runs(unit(polynomial(w, f"{name}.then2", y), HEADS), HEADS)
    yield runs(unit(conv(w, "v.then0", linear(w, "v", u)), HEADS), HEADS)


def orthogonal(s):
    """Return Muon's quintic, five times, on singular values; a zero one stays zero."""
    u, sigma, v = torch.linalg.svd(s, full_matrices=False)
    sigma = sigma / (sigma.square().sum(-1, keepdim=True).sqrt() + 1e-7)
    for _ in range(5):
        sigma = 3.4445 * sigma - 4.7750 * sigma**3 + 2.0315 * sigma**5
    return u * sigma[..., None, :] @ v


def iterated(s):
    """Return the same as products of matrices, which has a gradient where singular values are 0."""
    tall = s.shape[-2] > s.shape[-1]
    x = s.mT if tall else s
    x = x / (x.flatten(2).norm(dim=-1)[..., None, None] + 1e-7)
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * (x @ x.mT @ x) + 2.0315 * (x @ x.mT @ x @ x.mT @ x)
    return x.mT if tall else x


def omega(w, x, window, newton_schulz=None):
    """Return S ← θ S − Σ_{i>t−c} γ_i ∇‖M_ξ(φ(k_i)) − v_i‖²; M ← α M + S, or + η NS(S)."""
    u = rms(w, "u", x)
    q, k, v = omega_flows(w, u)
    gamma, alpha = sigmoid(w, "gamma", u, 0.3 / window), sigmoid(w, "alpha", u)
    if newton_schulz:
        theta, eta = sigmoid(w, "theta", u), sigmoid(w, "eta", u, 0.05)
    net, m, answers = Deep(gelu), first_weights(w), []
    s = [torch.zeros_like(p) for p in m]
    for t in range(x.shape[1]):
        if t % CHUNK == 0:
            frozen = m
        if newton_schulz:
            s = [wide(theta[:, t], p) * p for p in s]
        else:
            s = [torch.zeros_like(p) for p in s]
        for i in range(max(0, t - window + 1), t + 1):
            slopes, _ = net.slopes(frozen, k[:, i], lambda y, i=i: 2 * (y - v[:, i]))
            s = [p - wide(gamma[:, i], g) * g for p, g in zip(s, slopes, strict=True)]
        steps = s
        if newton_schulz:
            steps = [wide(eta[:, t], p) * newton_schulz(p) for p in s]
        m = [wide(alpha[:, t], p) * p + step for p, step in zip(m, steps, strict=True)]
        answers.append(net.answer(m, q[:, t]))
    return output(w, x, u, answers), {f"M.A{i}": p for i, p in enumerate(m)}


@pytest.mark.parametrize("window", [1, 4])
def test_omeganet_learns_the_last_events_together(shipped, flow, held, window):
    b = shipped("omeganet", "omega", chunk=CHUNK, expansion=1.5, window=window)
    held(b, lambda w, x: omega(w, x, window), flow(2, TIME, 8), "0.omega")


def test_atlas_makes_its_steps_orthogonal(shipped, flow, held, agree):
    b = shipped("atlas", "atlas", chunk=CHUNK, expansion=1.5, window=4)
    x = flow(2, TIME, 8)
    held(b, lambda w, x: omega(w, x, 4, iterated), x, "0.atlas")
    w = {n.removeprefix("0.atlas."): p.detach() for n, p in b.reference.weights.named().items()}
    agree(b(x), omega(w, x, 4, orthogonal)[0])


def test_deep_linear_attention_is_hebbian_with_a_deep_memory(shipped, flow, held):
    """M ← α M − η ∇(−⟨M_ξ(φ(k)), v⟩), M(x) = x + norm(W1 gelu(W0 x))."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k, v = omega_flows(w, u)
        eta, alpha = sigmoid(w, "eta", u, 0.1), sigmoid(w, "alpha", u)
        net = Deep(gelu, "rms_norm", w["M.norm.gain"])
        m, answers = first_weights(w), []
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                frozen = m
            slopes, _ = net.slopes(frozen, k[:, t], lambda _, t=t: -v[:, t])
            pairs = zip(m, slopes, strict=True)
            m = [wide(alpha[:, t], p) * p - wide(eta[:, t], g) * g for p, g in pairs]
            answers.append(net.answer(m, q[:, t]))
        return output(w, x, u, answers), {f"M.A{i}": p for i, p in enumerate(m)}

    b = shipped("dla", "dla", chunk=CHUNK, expansion=1.5)
    held(b, by_hand, flow(2, TIME, 8), "0.dla")
