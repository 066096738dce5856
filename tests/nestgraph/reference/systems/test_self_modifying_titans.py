"""Self-modifying Titans as shipped: every option that the paper leaves open."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Deep, conv, linear, outer, rms, runs, silu, times, unit, wide

HEADS, TIME = 2, 8
NET = Deep(silu)
NAMES = ("k", "v", "eta", "alpha", "memory")


class Memory:
    """One self-modifying memory: DGD with weight decay at a frozen copy of itself."""

    def __init__(self, w, name, chunk, erase, momentum):
        self.now = self.frozen = [w[f"{name}.W{i}"].expand(2, -1, -1, -1) for i in (0, 1)]
        self.s = [torch.zeros_like(m) for m in self.now]
        self.chunk, self.erase, self.momentum = chunk, erase, momentum

    def freeze(self, t):
        if t % self.chunk == 0:
            self.frozen = self.now

    def ask(self, x):
        return NET.answer(self.frozen, x)

    def learn(self, k, v, eta, alpha):
        """Write W ← W (α I − η' a aᵀ) + S, S ← β S − η' ∇½‖M(k) − v̂‖², η' = η/(1 + η‖a‖²), v̂ =
        M(v).
        """
        target = self.ask(v)
        slopes, inputs = NET.slopes(self.frozen, k, lambda y: y - target)
        kept = []
        for i, (m, g, a) in enumerate(zip(self.now, slopes, inputs, strict=True)):
            rate = eta / (1 + eta * a.square().sum(-1))
            self.s[i] = self.momentum * self.s[i] - wide(rate, g) * g
            erases = self.erase == "layers" or (self.erase == "key" and i == 0)
            gone = wide(rate, m) * outer(times(m, a), a) if erases else 0.0
            kept.append(wide(alpha, m) * m - gone + self.s[i])
        self.now = kept


def by_hand(w, x, *, chunk, memory_chunk, erase, momentum, adaptive):
    u = rms(w, "u", x)
    c, c_v = (runs(unit(conv(w, n, u), HEADS), HEADS) for n in ("c", "c_v"))
    q = runs(unit(conv(w, "q.then0", linear(w, "q", u)), HEADS), HEADS)
    names = (*NAMES, "q") if adaptive else NAMES
    periods = {"memory": memory_chunk}
    m = {n: Memory(w, f"M_{n}", periods.get(n, chunk), erase, momentum) for n in names}
    answers = []
    for t in range(x.shape[1]):
        for one in m.values():
            one.freeze(t)
        k, v = (
            unit(m[n].ask(a[:, t]).flatten(1), HEADS).unflatten(-1, (HEADS, -1))
            for n, a in (("k", c), ("v", c_v))
        )
        eta = (m["eta"].ask(c[:, t]).sum(-1) + w["eta.then1.bias"]).sigmoid()
        alpha = (m["alpha"].ask(c[:, t]).sum(-1) + w["alpha.then1.bias"]).sigmoid()
        asked = q[:, t]
        if adaptive:
            asked = unit(m["q"].ask(asked).flatten(1), HEADS).unflatten(-1, (HEADS, -1))
        answers.append(m["memory"].ask(asked).flatten(1))
        for one in m.values():
            one.learn(k, v, eta, alpha)
    z = rms(w, "z", torch.stack(answers, 1), HEADS) * F.silu(linear(w, "gate", u))
    state = {f"M_{n}.A{i}": part for n, one in m.items() for i, part in enumerate(one.now)}
    return x + linear(w, "o", z), state


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("momentum", [0, 0.7])
@pytest.mark.parametrize("erase", ["key", "layers", "none"])
def test_each_reading_of_the_deep_erase_with_and_without_momentum(
    shipped, flow, held, erase, momentum, adaptive
):
    """Two clocks: the main memory commits every 4 tokens, those that make keys every 3."""
    options = {"chunk": 3, "memory_chunk": 4, "erase": erase, "momentum": momentum}
    name = "self-modifying-titans" + ("-adaptive-q" if adaptive else "")
    b = shipped(name, "self_modifying_titans", **options)
    held(
        b,
        lambda w, x: by_hand(w, x, adaptive=adaptive, **options),
        flow(2, TIME, 8),
        "0.self_modifying_titans",
    )
