"""The selective scan against the recurrence token by token."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from nestgraph.ops import Fading, decay, linear_memory, selective_scan

B, H, D, E = 2, 3, 4, 5


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, requires_grad=True)


RETENTIONS = {
    "head": (),
    "value": (E,),
    "by value": (E, 1),
    "by key": (1, D),
    "cell": (E, D),
}


def flows(time: int, *, many: int = 1, by_value: bool = True, retain: str = "steps"):
    events = (many,) if many > 1 else ()
    made = {
        "k": draw(B, H, time, *events, D),
        "v": draw(B, H, time, *events, E),
        "first": draw(B, H, E, D),
        "q": draw(B, H, time, D),
        "rate": uniform(B, H, time, *((E,) if by_value else ())),
    }
    if retain == "steps":
        return {**made, "steps": uniform(B, H, time, E), "rates": uniform(H, E, D)}
    return {**made, "retain": draw(B, H, time, *RETENTIONS[retain])}


def naive(f, scale=1.0):
    """Return answers after and before, and the last state."""
    if "steps" in f:
        alpha = torch.exp(-f["steps"].unsqueeze(-1) * f["rates"].unsqueeze(1))
    else:
        alpha = f["retain"][(...,) + (None,) * (5 - f["retain"].dim())]
    state, after, before = f["first"], [], []
    many = f["k"].dim() == 5
    for t in range(f["q"].shape[2]):
        k, v, rate = (f[name][:, :, t] for name in ("k", "v", "rate"))
        k, v = (k, v) if many else (k.unsqueeze(2), v.unsqueeze(2))
        rate = rate.unsqueeze(2) if rate.dim() == 3 else rate[..., None, None]
        before.append((state * f["q"][:, :, t].unsqueeze(2)).sum(-1))
        written = scale * ((rate * v).unsqueeze(-1) * k.unsqueeze(-2)).sum(2)
        state = alpha[:, :, t] * state + written
        after.append((state * f["q"][:, :, t].unsqueeze(2)).sum(-1))
    return [torch.stack(after, 2), torch.stack(before, 2), state]


def ours(f, **options):
    retain = Fading(f["steps"], f["rates"]) if "steps" in f else f["retain"]
    reads = [(f["q"], "after"), (f["q"], "before")]
    answers, last = selective_scan(f["k"], f["v"], f["first"], f["rate"], retain, reads, **options)
    return [*answers, last]


@pytest.mark.parametrize("seed", range(30))
def test_scans_equal_the_recurrence(seed, assert_alike, loss_gradients):
    torch.manual_seed(seed)
    chance = random.Random(seed)
    f = flows(
        chance.choice([1, 4, 9, 13]),
        many=chance.choice([1, 1, 2, 3]),
        by_value=chance.random() < 0.5,
        retain=chance.choice(["steps", "steps", *RETENTIONS]),
    )
    scale = chance.choice([1.0, 2.0])
    mine = ours(f, scale=scale, chunk=chance.choice([None, 1, 3, 4, 32]))
    theirs = naive(f, scale)
    assert_alike(mine, theirs)
    assert_alike(loss_gradients(mine, f.values()), loss_gradients(theirs, f.values()))


def test_any_split_gives_the_same_numbers(assert_alike):
    torch.manual_seed(0)
    f = flows(13)
    whole, fixed = ours(f, chunk=4), ("first", "rates")
    for cut in (1, 4, 6, 12):
        early = {n: x if n in fixed else x[:, :, :cut] for n, x in f.items()}
        late = {n: x if n in fixed else x[:, :, cut:] for n, x in f.items()}
        first = ours(early, chunk=4)
        second = ours({**late, "first": first[2]}, chunk=4)
        joined = [torch.cat(pair, 2) for pair in zip(first[:2], second[:2], strict=True)]
        assert_alike([*joined, second[2]], whole)


@pytest.mark.parametrize("retain", ["steps", *RETENTIONS])
def test_gradients_are_exact(retain):
    torch.manual_seed(1)
    f = flows(3, many=2, retain=retain)
    small = {n: x[:2] if n == "rates" else x[:1, :2] for n, x in f.items()}
    f = {n: x.detach().requires_grad_() for n, x in small.items()}

    def run(*inputs):
        return tuple(ours(dict(zip(f, inputs, strict=True)), chunk=2))

    assert torch.autograd.gradcheck(run, list(f.values()))


def test_one_read_or_none_is_as_good_as_two(assert_alike, loss_gradients):
    torch.manual_seed(2)
    f = flows(7)
    retain = Fading(f["steps"], f["rates"])
    inputs = [x for n, x in f.items() if n != "q"]
    after, before, last = ours(f)
    for reads, expected in (
        ([], [last]),
        ([(f["q"], "after")], [after, last]),
        ([(f["q"], "before")], [before, last]),
    ):
        answers, state = selective_scan(
            f["k"], f["v"], f["first"], f["rate"], retain, reads, chunk=3
        )
        assert_alike([*answers, state], expected)
        assert_alike(loss_gradients([*answers, state], inputs), loss_gradients(expected, inputs))


def test_numbers_and_rates_by_head_mean_the_same_as_flows(assert_alike):
    torch.manual_seed(3)
    f = flows(6, by_value=False, retain="head")
    by_head = torch.tensor([0.9, 0.8, -0.5], dtype=torch.float64)
    wide = {**f, "rate": torch.full_like(f["rate"], 0.3)}
    wide["retain"] = by_head[:, None].expand(B, H, 6)
    assert_alike(ours({**wide, "rate": 0.3, "retain": by_head}), ours(wide))
    wide["retain"] = torch.full_like(f["retain"], 0.7)
    assert_alike(ours({**wide, "retain": 0.7}), ours(wide))


def test_with_one_number_a_head_it_is_the_decayed_sum(assert_alike):
    torch.manual_seed(4)
    f = flows(9, by_value=False, retain="head")
    reads = [(f["q"], "after"), (f["q"], "before")]
    names = ("k", "v", "first", "rate", "retain")
    answers, last = linear_memory(
        *(f[name] for name in names), None, reads, objective="dot", signed=True, chunk=4
    )
    assert_alike(ours(f), [*answers, last])


def test_steps_and_rates_are_what_decay_multiplies(assert_alike):
    torch.manual_seed(5)
    f, a = flows(6), draw(H * E * D)
    fused = ours({**f, "rates": a.exp().view(H, E, D)})
    flow = f["steps"].transpose(1, 2).flatten(2)
    cells = decay(flow, a, D).view(B, 6, H, E, D).transpose(1, 2)
    wide = {name: x for name, x in f.items() if name not in ("steps", "rates")}
    assert_alike(fused, ours({**wide, "retain": cells}))


@pytest.mark.parametrize("step", [0.0, 1e-30, 1e3, 1e30])
def test_extreme_steps_stay_finite_in_float32(step):
    torch.manual_seed(6)
    f = {n: x.detach().float().requires_grad_() for n, x in flows(40).items()}
    f["steps"] = torch.full_like(f["steps"], step).requires_grad_()
    outputs = ours(f)
    found = torch.autograd.grad(sum(y.square().sum() for y in outputs), list(f.values()))
    assert all(torch.isfinite(x).all() for x in [*outputs, *found])


def test_an_answer_knows_nothing_of_later_tokens():
    torch.manual_seed(7)
    f = flows(9)
    changed = {**f, "v": torch.cat((f["v"][:, :, :6], -f["v"][:, :, 6:]), 2)}
    whole, other = ours(f, chunk=4), ours(changed, chunk=4)
    assert torch.equal(other[0][:, :, :6], whole[0][:, :, :6])
    assert not torch.allclose(other[0][:, :, 6:], whole[0][:, :, 6:])


def test_memory_grows_with_the_inputs_and_not_with_the_cells():
    time, cells = 512, E * 64
    f = {
        "k": torch.randn(1, 1, time, 64),
        "v": torch.randn(1, 1, time, E),
        "steps": torch.rand(1, 1, time, E),
        "q": torch.randn(1, 1, time, 64),
        "first": torch.zeros(1, 1, E, 64),
        "rate": 1.0,
        "rates": torch.rand(1, E, 64),
    }
    for name in ("k", "v", "q", "steps"):
        f[name].requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        ours(f, chunk=16)
    assert max(x.untyped_storage().nbytes() for x in kept) <= time * cells * 4 / 4
