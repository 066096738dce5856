"""Titans' long-term memory in its four architectures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from by_hand import Deep, attention, conv, linear, rms, rotate, runs, silu, unit, wide

HEADS, TIME, CHUNK = 2, 8, 3


def kept(w, u):
    return (linear(w, "keep", u) + w["keep.then0.bias"]).sigmoid()


def gates(w, u):
    """Return θ (surprise now), η (surprise before) and 1 − α (what is kept)."""
    theta = 0.3 * (linear(w, "theta", u) + w["theta.then0.bias"]).sigmoid()
    return theta, linear(w, "eta", u).sigmoid(), kept(w, u)


def projections(w, u):
    for name in "qkv":
        yield runs(unit(F.silu(conv(w, f"{name}.then0", linear(w, name, u))), HEADS), HEADS)


def first_weights(w):
    return [w[f"M.W{i}"].expand(2, -1, -1, -1) for i in (0, 1)]


def bounded_gates(w, u):
    """Return the same where θ is the whole of what momentum makes of one surprise, and a chunk's
    share.
    """
    theta = 1.5 / (CHUNK + 1) * (linear(w, "theta", u) + w["theta.then0.bias"]).sigmoid()
    eta = (linear(w, "eta", u) + w["eta.then0.bias"]).sigmoid()
    return (1 - eta) * theta, eta, kept(w, u)


ALONE = Deep(silu, residual=False)  # M(x) = W1 silu(W0 x)
BESIDE = Deep(silu)  # M(x) = x + W1 silu(W0 x)


def surprise(net, weights, k, v):
    """Return ∇‖M(k) − v‖², by hand."""
    slopes, _ = net.slopes(weights, k, lambda y: 2 * (y - v))
    return slopes


class Memory:
    """S ← η S − θ ∇ℓ(M_ξ); M ← (1 − α) M + S, with ∇ℓ at the last chunk's end."""

    def __init__(self, w, net=BESIDE):
        self.net = net
        self.now = self.frozen = first_weights(w)
        self.s = [torch.zeros_like(m) for m in self.now]

    def step(self, t, k, v, theta, eta, keep):
        if t % CHUNK == 0:
            self.frozen = self.now
        slopes = surprise(self.net, self.frozen, k, v)
        self.s = [
            wide(eta, s) * s - wide(theta, g) * g for s, g in zip(self.s, slopes, strict=True)
        ]
        self.now = [wide(keep, m) * m + s for m, s in zip(self.now, self.s, strict=True)]

    def recall(self, q):
        return self.net.answer(self.now, q)

    def state(self):
        parts = {f"M.A{i}": m for i, m in enumerate(self.now)}
        return parts | {f"M.S{i}": s for i, s in enumerate(self.s)}


def remember(w, u, net, gates):
    """Return the memory over a text: its answers behind each write, and its state."""
    q, k, v = projections(w, u)
    theta, eta, keep = gates(w, u)
    memory, answers = Memory(w, net), []
    for t in range(u.shape[1]):
        memory.step(t, k[:, t], v[:, t], theta[:, t], eta[:, t], keep[:, t])
        answers.append(memory.recall(q[:, t]).flatten(1))
    return torch.stack(answers, 1), memory.state()


def lmm(w, x):
    u = rms(w, "u", x)
    y, state = remember(w, u, ALONE, bounded_gates)
    z = rms(w, "z", y, HEADS) * linear(w, "gate", u).sigmoid()
    return x + linear(w, "o", z), state


def test_the_long_term_memory_alone(shipped, flow, held):
    b = shipped("titans-lmm", "lmm", chunk=CHUNK, expansion=1.5)
    held(b, lmm, flow(2, TIME, 8), "0.lmm")


def test_the_memory_of_memory_as_layer(shipped, flow, held):
    b = shipped("titans-mal", "lmm", chunk=CHUNK, expansion=1.5)
    held(b, lmm, flow(2, TIME, 8), "0.lmm")


def test_a_chunk_is_a_sum_of_weighted_surprises(shipped, flow, agree):
    """Eqs. 16–18 unrolled: M_t = β_t M_0 + Σ_i Σ_{j≤i} (β_t/β_i)(η_i ⋯ η_{j+1}) (−θ_j ∇_j)."""
    b = shipped("titans-lmm", "lmm", chunk=16, max_rate=1.5 / (CHUNK + 1), expansion=1.5)
    x = flow(2, 6, 8)
    w = {n.removeprefix("0.lmm."): p.detach() for n, p in b.reference.weights.named().items()}
    u = rms(w, "u", x)
    _, k, v = projections(w, u)
    theta, eta, keep = bounded_gates(w, u)
    start = first_weights(w)
    slopes = [surprise(ALONE, start, k[:, j], v[:, j]) for j in range(6)]
    _, state = b.with_state(x)
    for part in (0, 1):
        total = wide(keep.prod(1), start[part]) * start[part]
        for i in range(6):
            for j in range(i + 1):
                weight = keep[:, i + 1 :].prod(1) * eta[:, j + 1 : i + 1].prod(1) * theta[:, j]
                total = total - wide(weight, total) * slopes[j][part]
        agree(state[f"0.lmm.M.A{part}"], total)


def gated(w, x, y, m):
    return x + linear(w, "o", rms(w, "ny", y) * rms(w, "nm", m).sigmoid())


def test_memory_as_gate_stands_beside_window_attention(shipped, flow, held):
    """o = norm(attention(P | x)) ⊗ σ(norm(memory(x))), in a window of three and two tokens P."""

    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k = (rotate(linear(w, n, u), HEADS) for n in ("a_q", "a_k"))
        seen = torch.ones(x.shape[1], x.shape[1]).tril().triu(-2).bool()
        entries = (w["A.keys"], w["A.values"])
        y = attention(q, k, linear(w, "a_v", u), HEADS, seen, entries)
        m, state = remember(w, u, BESIDE, gates)
        return gated(w, x, y, m), state

    b = shipped("titans-mag", "mag", chunk=CHUNK, expansion=1.5, window=3, persistent=2)
    held(b, by_hand, flow(2, TIME, 8), "0.mag")


def test_the_attention_of_memory_as_layer(shipped, flow, held):
    def by_hand(w, x):
        u = rms(w, "u", x)
        q, k = (rotate(linear(w, n, u), HEADS) for n in "qk")
        seen = torch.ones(x.shape[1], x.shape[1]).tril().triu(-2).bool()
        entries = (w["A.keys"], w["A.values"])
        return x + linear(w, "o", attention(q, k, linear(w, "v", u), HEADS, seen, entries))

    b = shipped("titans-mal", "window_attention", window=3, persistent=2)
    held(b, by_hand, flow(2, TIME, 8), "0.window_attention")


def test_memory_as_context_attends_over_what_it_recalls(shipped, flow, held):
    """Segment by segment: h = M(r) of the last segment; attention over [P | h | x], causal, then
    M learns from what it answered, and is asked again. Token t sees h_j and x_j of j ≤ t.
    """

    def by_hand(w, x):
        u = rms(w, "u", x)
        memory, answers, recalls = Memory(w), [], []
        asks = runs(unit(F.silu(linear(w, "r", u)), HEADS), HEADS)
        entries = (w["A.keys"], w["A.values"])
        for i in range(0, x.shape[1], CHUNK):
            segment = u[:, i : i + CHUNK]
            size = segment.shape[1]
            h = torch.stack([memory.recall(asks[:, t]) for t in range(i, i + size)], 1).flatten(2)
            context = torch.cat((h, segment), 1)
            turn = torch.cat((torch.arange(size), torch.arange(size)))
            k = linear(w, "s_k", context)
            k = torch.cat([rotate(part, HEADS) for part in k.split(size, 1)], 1)
            seen = turn[None, :] <= torch.arange(size)[:, None]
            q = rotate(linear(w, "s_q", segment), HEADS)
            y = attention(q, k, linear(w, "s_v", context), HEADS, seen, entries)
            asked, key, value = (runs(unit(F.silu(linear(w, n, y)), HEADS), HEADS) for n in "qkv")
            theta, eta, keep = gates(w, y)
            for t in range(size):
                rates = (theta[:, t], eta[:, t], keep[:, t])
                memory.step(i + t, key[:, t], value[:, t], *rates)
                recalls.append(memory.recall(asked[:, t]).flatten(1))
            answers.append(y)
        out = gated(w, x, torch.cat(answers, 1), torch.stack(recalls, 1))
        return out, memory.state()

    b = shipped("titans-mac", "mac", segment=CHUNK, expansion=1.5, persistent=2)
    held(b, by_hand, flow(2, TIME, 8), "0.mac")
