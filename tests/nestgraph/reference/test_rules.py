"""Rules on a linear memory: finer rates, erase keys, direction, step, mirror, reduce."""

from __future__ import annotations

import pytest
import torch
from by_hand import outer, runs, times

HEADS, D_K, D_V, WIDTH, CHUNK = 2, 3, 2, 6, 3

BLOCK = """
memories:
  M: {heads: 2, level: LEVEL, keys: KEYS, values: VALUES, objective: OBJECTIVE, rule: {RULE}}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x, out: 4}
  k2: {op: linear, in: x}
  v2: {op: linear, in: x, out: 4}
  e: {op: linear, in: x}
  one: {op: linear, in: x, out: 1, then: [sigmoid]}
  head: {op: linear, in: x, out: 2, then: [sigmoid]}
  value: {op: linear, in: x, out: 4, then: [sigmoid]}
  key: {op: linear, in: x, out: 6, then: [sigmoid]}
  cell: {op: linear, in: x, out: 12, then: [sigmoid]}
  y: {read: M, query: q, at: AT}
  out: {op: linear, in: y, out: 6}
"""


def block(rule, level="chunk", objective="l2", at="after", keys="k", values="v"):
    words = {"RULE": rule, "LEVEL": level, "OBJECTIVE": objective, "AT": at}
    text = BLOCK
    for word, value in {**words, "KEYS": keys, "VALUES": values}.items():
        text = text.replace(word, value)
    return text


def rate(w, x, per):
    """Return a flow as a factor over (d_v, d_k)."""
    numbers = (x @ w[f"{per}.weight"].T).sigmoid()
    if per == "one":
        return numbers[..., None, None]
    if per == "head":
        return numbers[..., None, None]
    if per == "value":
        return runs(numbers, HEADS)[..., None]
    if per == "key":
        return runs(numbers, HEADS)[..., None, :]
    return runs(numbers, HEADS).unflatten(-1, (D_V, D_K))


def finish(w, answers):
    return torch.stack(answers, 1).flatten(2) @ w["out.weight"].T


PERS = ("one", "head", "value", "key", "cell")


def coefficient(per):
    return per if per in ("one", "head") else f"{{flow: {per}, per: {per}}}"


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("per", PERS)
@pytest.mark.parametrize("field", ["rate", "momentum", "retain", "step", "erase"])
def test_a_coefficient_lies_over_rows_columns_or_cells(bench, flow, held, field, per, first):
    written = f"{{rate: {coefficient(per)}}}" if field == "erase" else coefficient(per)
    rule = f"{field}: {written}"
    rule += "" if field == "rate" else ", rate: 0.3"
    rule += "" if field == "retain" else ", retain: 0.8"
    if first:
        rule += ", retain_first: true"

    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        s, kept, answers = torch.zeros_like(a), torch.ones_like(a), []
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                anchor, kept = a, torch.ones_like(a)
            c = {"rate": 0.3, "momentum": 0.0, "retain": 0.8, "step": 1.0, "erase": 0.0}
            c[field] = rate(w, x, per)[:, t]
            kept = kept * c["retain"]
            seen = kept * anchor if first else anchor
            s = c["momentum"] * s - c["rate"] * outer(times(seen, k[:, t]) - v[:, t], k[:, t])
            r = c["retain"] * a if first else a
            a = c["retain"] * a - c["erase"] * outer(times(r, k[:, t]), k[:, t]) + c["step"] * s
            answers.append(times(a, q[:, t]))
        return finish(w, answers), {"M.A0": a, "M.anchor0": anchor}

    held(bench(block(rule), WIDTH, "{chunk: 3 tokens}"), by_hand, 0.7 * flow(2, 8, WIDTH))


def test_an_erase_without_its_own_rate_follows_the_finest_rate(bench, flow, held):
    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        a, eta, answers = w["M.W0"].expand(2, -1, -1, -1), rate(w, x, "cell"), []
        for t in range(x.shape[1]):
            a = (
                a
                - eta[:, t] * outer(times(a, k[:, t]), k[:, t])
                + eta[:, t] * outer(v[:, t], k[:, t])
            )
            answers.append(times(a, q[:, t]))
        return finish(w, answers)

    rule = "rate: {flow: cell, per: cell}, erase: key"
    held(bench(block(rule, "token", "dot"), WIDTH), by_hand, 0.7 * flow(2, 6, WIDTH))


@pytest.mark.parametrize("per", [None, *PERS])
@pytest.mark.parametrize("events", [1, 2])
def test_an_erase_key_of_its_own_erases_once_a_position(bench, flow, held, per, events):
    """A ← α A − ρ ⊙ (A e) eᵀ + S; without a rate ρ = 1, and implicit rates leave it alone."""
    erase = "{key: e}" if per is None else f"{{key: e, rate: {coefficient(per)}}}"
    rule = f"rate: 0.3, retain: 0.9, implicit: true, erase: {erase}"
    keys, values = ("[k, k2]", "[v, v2]") if events == 2 else ("k", "v")

    def by_hand(w, x):
        q, k, v, k2, v2, e = (
            runs(x @ w[f"{n}.weight"].T, HEADS) for n in ("q", "k", "v", "k2", "v2", "e")
        )
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        answers = []
        for t in range(x.shape[1]):
            anchor = a if t % CHUNK == 0 else anchor
            push = 0
            for key, value in ((k, v), (k2, v2))[:events]:
                step = 0.3 / (1 + 0.3 * key[:, t].square().sum(-1))
                r = times(anchor, key[:, t]) - value[:, t]
                push = push + step[..., None, None] * outer(r, key[:, t])
            rho = 1.0 if per is None else rate(w, x, per)[:, t]
            a = 0.9 * a - rho * outer(times(a, e[:, t]), e[:, t]) - push
            answers.append(times(a, q[:, t]))
        return finish(w, answers), {"M.A0": a}

    text = block(rule, keys=keys, values=values)
    held(bench(text, WIDTH, "{chunk: 3 tokens}"), by_hand, 0.5 * flow(2, 7, WIDTH))


def test_events_of_one_position_all_see_the_state_before_it(bench, flow, held):
    """Two writes of a delta rule with erase: both errors and both erasures are of the old A."""

    def by_hand(w, x):
        flows = {n: runs(x @ w[f"{n}.weight"].T, HEADS) for n in ("q", "k", "v", "k2", "v2")}
        a, eta, answers = w["M.W0"].expand(2, -1, -1, -1), rate(w, x, "head"), []
        for t in range(x.shape[1]):
            now = {n: f[:, t] for n, f in flows.items()}
            old = a
            for k, v in ((now["k"], now["v"]), (now["k2"], now["v2"])):
                step = eta[:, t] / (1 + eta[:, t] * k.square().sum(-1)[..., None, None])
                a = a - step * outer(times(old, k) - v, k) - step * outer(times(old, k), k)
            answers.append(times(a, now["q"]))
        return finish(w, answers)

    rule = "rate: head, implicit: true, erase: key"
    text = block(rule, "token", keys="[k, k2]", values="[v, v2]")
    held(bench(text, WIDTH), by_hand, 0.7 * flow(2, 6, WIDTH))


def orthogonal(s, steps):
    """Return Muon's quintic on the singular values; U and V stay as they are."""
    u, sigma, v = torch.linalg.svd(s, full_matrices=False)
    sigma = sigma / (sigma.square().sum(-1, keepdim=True).sqrt() + 1e-7)
    for _ in range(steps):
        sigma = 3.4445 * sigma - 4.7750 * sigma**3 + 2.0315 * sigma**5
    return u * sigma[..., None, :] @ v


@pytest.mark.parametrize(("direction", "steps"), [("newton_schulz", 5), ("steps", 2)])
def test_newton_schulz_maps_the_singular_values_of_the_momentum(
    bench, flow, held, direction, steps
):
    if direction == "steps":
        direction = f"{{kind: newton_schulz, steps: {steps}}}"
    rule = f"rate: head, momentum: 0.6, retain: 0.9, direction: {direction}, step: one"

    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        # A first event alone has rank one, where an SVD has no gradient: start with two.
        s, answers = torch.zeros_like(a), []
        for t in range(x.shape[1]):
            anchor = a if t % CHUNK == 0 else anchor
            g = outer(times(anchor, k[:, t]) - v[:, t], k[:, t])
            s = 0.6 * s - rate(w, x, "head")[:, t] * g
            step = rate(w, x, "one")[:, t]
            if t == 0:  # rank one: orthogonalised it is a multiple of itself
                size = s.flatten(2).norm(dim=-1)
                unit = size / (size + 1e-7)
                for _ in range(steps):
                    unit = 3.4445 * unit - 4.7750 * unit**3 + 2.0315 * unit**5
                d = (unit / size)[..., None, None] * s
            else:
                d = orthogonal(s, steps)
            a = 0.9 * a + step * d
            answers.append(times(a, q[:, t]))
        return finish(w, answers), {"M.A0": a, "M.S0": s}

    held(bench(block(rule), WIDTH, "{chunk: 3 tokens}"), by_hand, flow(2, 5, WIDTH))


def softmax(a):
    e = a.exp()
    return e / e.sum(-1, keepdim=True)


def lq(q):
    return lambda a: a / ((a.abs() ** q).sum((-2, -1), keepdim=True) + 1e-12) ** ((q - 2) / q)


MIRRORS = {
    "softmax": softmax,
    "{kind: lq, q: 4}": lq(4),
    "{kind: lq, q: 1.5}": lq(1.5),
    "none": lambda a: a,
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_mirror_stands_between_the_state_and_the_weights(bench, flow, held, mirror, at, first):
    """Gradients at W = μ(A) and with respect to W; reads by W; steps on A."""
    mu = MIRRORS[mirror]
    rule = f"rate: head, retain: 0.8, erase: key, mirror: {mirror}"
    rule += ", retain_first: true" if first else ""

    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        a = anchor = w["M.W0"].expand(2, -1, -1, -1)
        answers, kept = [], 1.0
        for t in range(x.shape[1]):
            if t % CHUNK == 0:
                anchor, kept = a, 1.0
            before, kept = a, kept * 0.8
            seen = mu(kept * anchor if first else anchor)
            eta = rate(w, x, "head")[:, t]
            g = outer(times(seen, k[:, t]) - v[:, t], k[:, t])
            gone = outer(times(0.8 * a if first else a, k[:, t]), k[:, t])
            a = 0.8 * a - eta * gone - eta * g
            shown = {"before": before, "after": a, "boundary": anchor}[at]
            answers.append(times(mu(shown), q[:, t]))
        return finish(w, answers), {"M.A0": a}

    text = block(rule, at=at)
    held(bench(text, WIDTH, "{chunk: 3 tokens}"), by_hand, 0.7 * flow(2, 8, WIDTH))


def test_its_own_answer_comes_through_the_mirror_too(bench, flow, held):
    def by_hand(w, x):
        q, k = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qk")
        a, answers = w["M.W0"].expand(2, -1, -1, -1), []
        for t in range(x.shape[1]):
            seen = softmax(a)
            r = times(seen, k[:, t]) - times(seen, q[:, t])
            a = a - 0.5 * outer(r, k[:, t])
            answers.append(times(softmax(a), q[:, t]))
        return torch.stack(answers, 1).flatten(2)

    text = """
    memories: {M: {heads: 2, keys: k, values: {self: q}, rule: {rate: 0.5, mirror: softmax}}}
    nodes:
      q: {op: linear, in: x}
      k: {op: linear, in: x}
      out: {read: M, query: q}
    """
    held(bench(text, WIDTH), by_hand, flow(2, 6, WIDTH))


@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize("level", ["token", "chunk", "never"])
@pytest.mark.parametrize("reduce", ["mean", "one", "head"])
def test_reduce_weighs_all_that_a_period_has_added(bench, flow, held, reduce, level, at):
    """θ_t = Θ + c_t (A_t − Θ), and a tick commits θ."""
    period = {"token": 1, "chunk": CHUNK, "never": 1000}[level]

    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        theta = anchor = w["M.W0"].expand(2, -1, -1, -1)
        a, answers, c = anchor, [], None
        for t in range(x.shape[1]):
            if t % period == 0:
                anchor = a = theta
            before = theta
            eta = rate(w, x, "head")[:, t]
            a = 0.9 * a - eta * outer(times(anchor, k[:, t]) - v[:, t], k[:, t])
            c = 1 / (t % period + 1) if reduce == "mean" else rate(w, x, reduce)[:, t]
            theta = anchor + c * (a - anchor)
            shown = {"before": before, "after": theta, "boundary": anchor}[at]
            answers.append(times(shown, q[:, t]))
        if x.shape[1] % period == 0:
            a = anchor = theta
            c = 1.0
        share = torch.as_tensor(c).expand(2, HEADS, 1, 1)[..., 0, 0].to(x.dtype)
        return finish(w, answers), {"M.A0": a, "M.anchor0": anchor, "M.share": share}

    text = block(f"rate: head, retain: 0.9, reduce: {reduce}", level, at=at)
    held(bench(text, WIDTH, "{chunk: 3 tokens}"), by_hand, 0.7 * flow(2, 8, WIDTH))


def test_a_mean_counts_from_a_reset_too(bench, flow, held):
    """Period 4, reset every 6: positions 7 and 8 are the first two since the start over."""

    def by_hand(w, x):
        q, k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "qkv")
        start = w["M.W0"].expand(2, -1, -1, -1)
        anchor = a = start
        answers, count = [], 0
        for t in range(x.shape[1]):
            count += 1
            a = a - 0.3 * outer(times(anchor, k[:, t]) - v[:, t], k[:, t])
            theta = anchor + (a - anchor) / count
            answers.append(times(theta, q[:, t]))
            if (t + 1) % 4 == 0:
                anchor, a, count = theta, theta, 0
            if (t + 1) % 6 == 0:
                anchor, a, count = start, start, 0
        return finish(w, answers), {"M.A0": a}

    text = block("rate: 0.3, reduce: mean", "four").replace("heads: 2,", "heads: 2, reset: six,")
    held(bench(text, WIDTH, "{four: 4 tokens, six: 6 tokens}"), by_hand, 0.7 * flow(2, 10, WIDTH))
