"""Hope's mixer as shipped: the delta rule in every layer of memories that make their own keys."""

from __future__ import annotations

import torch
from by_hand import Deep, conv, linear, outer, runs, times, unit, wide
from by_hand import rms as rms_norm
from torch.nn.functional import silu

HEADS, TIME, CHUNK, MAX_RATE = 2, 8, 3, 4.0


def tanh(z):
    return z.tanh(), 1 - z.tanh().square()


NET = Deep(tanh)


class Memory:
    """Delta gradient descent of -<M(k), v>, at a copy of itself that a chunk freezes."""

    def __init__(self, w, name, *, residual):
        self.start = [w[f"{name}.W{i}"].expand(2, -1, -1, -1) for i in (0, 1)]
        self.now = self.frozen = self.start
        self.residual = residual

    def freeze(self, t):
        if t % CHUNK == 0:
            self.frozen = self.now

    def ask(self, x):
        """Return as of the last tick; the store, which has no residual, as it is now."""
        return NET.answer(self.frozen, x) if self.residual else NET.answer(self.now, x) - x

    def learn(self, k, v, eta, alpha):
        """Write W <- W (alpha I - r a a') - r G, r = eta / (1 + eta |a|^2), G of -<M(k), v>.

        The store, which has no residual, forgets towards its start: alpha of what lies between.
        """
        slopes, inputs = NET.slopes(self.frozen, k, lambda y: -v)
        kept = []
        for m, start, g, a in zip(self.now, self.start, slopes, inputs, strict=True):
            r = eta / (1 + eta * a.square().sum(-1))
            left = wide(alpha, m) * m + (0 if self.residual else wide(1 - alpha, m) * start)
            kept.append(left - wide(r, m) * (outer(times(m, a), a) + g))
        self.now = kept


def by_hand(w, x):
    u = rms_norm(w, "u", x)
    c, c_v, q = (conv(w, f"{n}.then0", linear(w, n, u)) for n in ("c", "c_v", "q"))
    mapped = (c + w["c.then1.bias"], silu(c_v), q + w["q.then1.bias"])
    c, c_v, q = (runs(unit(a, HEADS), HEADS) for a in mapped)
    names = ("k", "v", "eta", "alpha", "memory")
    m = {n: Memory(w, f"M_{n}", residual=n != "memory") for n in names}
    answers = []
    for t in range(x.shape[1]):
        for one in m.values():
            one.freeze(t)
        k, v = (
            unit(m[n].ask(a[:, t]).flatten(1), HEADS).unflatten(-1, (HEADS, -1))
            for n, a in (("k", c), ("v", c_v))
        )
        e = m["eta"].ask(c[:, t]).flatten(1)
        eta, own = (
            MAX_RATE * (linear(w, n, e) + w[f"{n}.then0.bias"]).sigmoid()
            for n in ("eta", "eta_self")
        )
        a = m["alpha"].ask(c[:, t]).sum(-1)
        alpha, kept = ((a + w[f"{n}.bias"]).sigmoid() for n in ("alpha", "alpha_self"))
        for n, one in m.items():
            one.learn(k, v, *((eta, alpha) if n == "memory" else (own, kept)))
        answers.append(m["memory"].ask(q[:, t]).flatten(1))
    width = (x.shape[-1] / HEADS) ** 0.5
    near = q.flatten(-2) * width * silu(linear(w, "gate", u))
    state = {f"M_{n}.A{i}": part for n, one in m.items() for i, part in enumerate(one.now)}
    stored = linear(w, "o", torch.stack(answers, 1) * width)
    return x + stored + linear(w, "gated.then0", near), state


def test_hope_is_its_recurrence(shipped, flow, held):
    b = shipped("hope", "self_modifying_titans", chunk=CHUNK)
    held(b, by_hand, flow(2, TIME, 8), "0.self_modifying_titans")
