"""Memories that keep, erase and learn by channel, against the recurrence token by token."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from nestgraph.ops import diagonal_delta, linear_memory
from nestgraph.ops.diagonal_delta_rule import key_blocks_fwd

B, H, D, E = 2, 2, 4, 5
PER = {"head": (), "value": (E,), "rows": (E, 1), "key": (1, D)}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return (torch.rand(*shape, dtype=torch.float64) * (high - low) + low).requires_grad_()


def flows(time, *, rate="head", retain=None, erase=None, own=False, many=1, signed=False):
    events = (many,) if many > 1 else ()
    made = {
        "k": draw(B, H, time, *events, D),
        "v": draw(B, H, time, *events, E),
        "first": draw(B, H, E, D),
        "q": draw(B, H, time, D),
        "rate": uniform(B, H, time, *PER[rate], high=0.3),
    }
    if retain is not None:
        made["retain"] = uniform(B, H, time, *PER[retain], low=0.2)
        if signed:
            signs = torch.randint(-1, 2, made["retain"].shape)
            made["retain"] = (made["retain"] * signs).detach().requires_grad_()
    if erase is not None:
        made["erase"] = uniform(B, H, time, *PER[erase], high=0.3)
    return {**made, "own": draw(B, H, time, D)} if own else made


def wide(f, name):
    """Return a coefficient as (B, H, T, E or 1, D or 1)."""
    x = f.get(name)
    return None if x is None else x[(...,) + (None,) * (5 - x.dim())]


def naive(f, *, objective="l2", scale=1.0, retain_first=False):
    """Return answers after and before, and the last state."""
    state, after, before = f["first"], [], []
    rate, retain, erase = (wide(f, name) for name in ("rate", "retain", "erase"))
    for t in range(f["q"].shape[2]):
        k, v = (f[n][:, :, t] if f["k"].dim() == 5 else f[n][:, :, t : t + 1] for n in ("k", "v"))
        if f["k"].dim() == 4:
            k, v = k.reshape(B, H, 1, D), v.reshape(B, H, 1, E)
        q = f["q"][:, :, t].unsqueeze(-1)
        before.append((state @ q).squeeze(-1))
        kept = state if retain is None else retain[:, :, t] * state
        seen = kept if retain_first else state
        for j in range(k.shape[2]):
            key, value = k[:, :, j].unsqueeze(-1), v[:, :, j].unsqueeze(-1)
            error = (seen @ key - value) if objective == "l2" else -value
            kept = kept - rate[:, :, t] * scale * (error @ key.mT)
            if erase is not None and "own" not in f:
                kept = kept - erase[:, :, t] * (seen @ key @ key.mT)
        if erase is not None and "own" in f:
            key = f["own"][:, :, t].unsqueeze(-1)
            kept = kept - erase[:, :, t] * (seen @ key @ key.mT)
        state = kept
        after.append((state @ q).squeeze(-1))
    return [torch.stack(after, 2), torch.stack(before, 2), state]


def ours(f, **options):
    reads = [(f["q"], "after"), (f["q"], "before")]
    answers, last = diagonal_delta(
        *(f[name] for name in ("k", "v", "first", "rate")),
        f.get("retain"),
        f.get("erase"),
        reads,
        erase_key=f.get("own"),
        **options,
    )
    return [*answers, last]


def drawn(seed):
    """Return a random memory: its flows and the words of its rule."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    erase = chance.choice([None, "head", "key", "value"])
    signed = chance.random() < 0.3
    f = flows(
        chance.choice([1, 2, 5, 8, 13]),
        rate=chance.choice(["head", "key", "value", "rows"]),
        retain=chance.choice([None, "head", "key", "key", "value"]),
        erase=erase,
        own=erase is not None and chance.random() < 0.6,
        many=chance.choice([1, 1, 2]),
        signed=signed,
    )
    rule = {
        "objective": chance.choice(["l2", "dot"]),
        "scale": chance.choice([1.0, 2.0]),
        "retain_first": chance.random() < 0.5,
    }
    return f, rule, {"signed": signed, "chunk": chance.choice([1, 4, 5, 32])}


@pytest.mark.parametrize("seed", range(80))
def test_random_rules_equal_the_recurrence(seed, monkeypatch, assert_alike, loss_gradients):
    monkeypatch.setattr(key_blocks_fwd, "REACH", 0.0 if seed % 2 else key_blocks_fwd.REACH)
    f, rule, way = drawn(seed)
    mine, theirs = ours(f, **rule, **way), naive(f, **rule)
    assert_alike(mine, theirs)
    assert_alike(loss_gradients(mine, f.values()), loss_gradients(theirs, f.values()))


def test_rwkv_7_is_its_published_recurrence(assert_alike):
    """S_t = S_{t-1} (diag(w) - κ̂ (a ⊙ κ̂)ᵀ) + v k̃ᵀ (arXiv 2503.14456)."""
    torch.manual_seed(0)
    f = flows(11, retain="key", erase="key", own=True)
    state, answers = f["first"], []
    for t in range(11):
        w, a, kappa = (
            x[:, :, t] for x in (f["retain"][..., 0, :], f["erase"][..., 0, :], f["own"])
        )
        move = torch.diag_embed(w) - kappa.unsqueeze(-1) * (a * kappa).unsqueeze(-2)
        state = state @ move + f["v"][:, :, t].unsqueeze(-1) * f["k"][:, :, t].unsqueeze(-2)
        answers.append((state @ f["q"][:, :, t].unsqueeze(-1)).squeeze(-1))
    after, _, last = ours({**f, "rate": 1.0}, objective="dot", chunk=4)
    assert_alike([after, last], [torch.stack(answers, 2), state])


def test_delta_attention_is_its_published_recurrence(assert_alike):
    """S_t = (I - β k kᵀ) Diag(α) S_{t-1} + β k vᵀ (arXiv 2510.26692), S the transpose of A."""
    torch.manual_seed(1)
    f = flows(11, retain="key")
    state, answers = f["first"].mT, []
    for t in range(11):
        alpha, beta = f["retain"][:, :, t, 0, :, None], f["rate"][:, :, t, None, None]
        key, value = f["k"][:, :, t].unsqueeze(-1), f["v"][:, :, t].unsqueeze(-2)
        state = alpha * state
        state = state - beta * key @ (key.mT @ state) + beta * key @ value
        answers.append((f["q"][:, :, t].unsqueeze(-2) @ state).squeeze(-2))
    after, _, last = ours(f, retain_first=True, chunk=4)
    assert_alike([after, last], [torch.stack(answers, 2), state.mT])


@pytest.mark.parametrize("seed", range(12))
def test_any_split_gives_the_same_numbers(seed, assert_alike):
    f, rule, way = drawn(seed)
    time = f["q"].shape[2]
    whole = ours(f, **rule, **way)
    for cut in {1, 3, time - 1} & set(range(1, time)):
        early = {n: x if n == "first" else x[:, :, :cut] for n, x in f.items()}
        late = {n: x if n == "first" else x[:, :, cut:] for n, x in f.items()}
        first = ours(early, **rule, **way)
        second = ours({**late, "first": first[2]}, **rule, **way)
        joined = [torch.cat(pair, 2) for pair in zip(first[:2], second[:2], strict=True)]
        assert_alike([*joined, second[2]], whole)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("words", [("key", "key"), ("head", "head"), ("value", "value")])
def test_gradients_are_exact(words, signed):
    torch.manual_seed(2)
    f = flows(3, retain=words[0], erase=words[1], own=True)
    f = {n: x[:1, :1].detach().requires_grad_() for n, x in f.items()}

    def run(*inputs):
        return tuple(ours(dict(zip(f, inputs, strict=True)), chunk=2, signed=signed))

    assert torch.autograd.gradcheck(run, list(f.values()))


@pytest.mark.parametrize("rule", [{"retain_first": True}, {"objective": "dot"}])
def test_with_numbers_a_head_it_is_the_linear_memory(rule, assert_alike):
    torch.manual_seed(3)
    f = flows(9, retain="head", erase="head")
    names = ("k", "v", "first", "rate", "retain", "erase")
    reads = [(f["q"], "after"), (f["q"], "before")]
    answers, last = linear_memory(*(f[n] for n in names), reads, chunk=4, **rule)
    assert_alike(ours(f, chunk=4, **rule), [*answers, last])


@pytest.mark.parametrize("objective", ["dot", "l2"])
def test_the_default_erase_shares_the_rate(objective, assert_alike):
    torch.manual_seed(4)
    f = flows(7, rate="key", retain="key")
    shared = ours({**f, "erase": f["rate"]}, objective=objective)
    apart = ours({**f, "erase": f["rate"] * 1.0}, objective=objective)
    assert_alike(shared, apart)


@pytest.mark.parametrize("by", ["rate", "retain", "erase"])
def test_coefficients_by_cell_are_refused(by):
    f = flows(3, retain="key", erase="key")
    with pytest.raises(AssertionError, match="by cell"):
        ours({**f, by: torch.rand(B, H, 3, E, D, dtype=torch.float64)})


@pytest.mark.parametrize("retain", ["key", "value", "head"])
@pytest.mark.parametrize("left", [0.0, 1e-30, 1.0, "mixed"])
def test_extreme_retention_stays_finite_and_right_in_float32(retain, left):
    torch.manual_seed(5)
    f = flows(70, retain=retain, erase="head", own=True)
    f["own"] = f["own"] / f["own"].norm(dim=-1, keepdim=True)
    f["k"] = f["k"] / f["k"].norm(dim=-1, keepdim=True)
    if left == "mixed":
        tiny = torch.rand_like(f["retain"]) < 0.3
        f["retain"] = torch.where(tiny, torch.full_like(f["retain"], 1e-25), f["retain"])
    else:
        f["retain"] = torch.full_like(f["retain"], left)
    exact = [x.detach() for x in naive(f)]
    f = {n: x.detach().float().requires_grad_() for n, x in f.items()}
    outputs = ours(f)
    found = torch.autograd.grad(sum(y.square().sum() for y in outputs), list(f.values()))
    assert all(torch.isfinite(x).all() for x in [*outputs, *found])
    for a, b in zip(outputs, exact, strict=True):
        assert float((a.detach() - b).norm() / b.norm()) < 1e-4


def test_an_answer_knows_nothing_of_later_tokens():
    torch.manual_seed(6)
    f = flows(9, retain="key", erase="key", own=True)
    changed = {**f, "v": torch.cat((f["v"][:, :, :6], -f["v"][:, :, 6:]), 2)}
    whole, other = ours(f, chunk=4), ours(changed, chunk=4)
    torch.testing.assert_close(other[0][:, :, :6], whole[0][:, :, :6], rtol=0, atol=1e-13)
    assert not torch.allclose(other[0][:, :, 6:], whole[0][:, :, 6:])


def test_nobody_needs_to_read(assert_alike):
    torch.manual_seed(7)
    f = flows(6, retain="key")
    answers, last = diagonal_delta(f["k"], f["v"], f["first"], f["rate"], f["retain"], None, [])
    assert not answers
    assert_alike([last], [naive(f)[2]])
