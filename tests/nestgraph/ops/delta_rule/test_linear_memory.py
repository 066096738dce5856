"""The chunked linear memory against the recurrence token by token."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from nestgraph.ops import MemoryConfig, linear_memory

B, H, D, E = 2, 2, 3, 4


def events(time: int, *, signed: bool = False, erase: bool = True) -> dict[str, Tensor | None]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    keys = draw(B, H, time, D)
    retain = torch.rand(B, H, time, dtype=torch.float64) * 0.5 + 0.5
    if signed:
        retain = retain * torch.randint(-1, 2, retain.shape)
    flows = {
        "k": keys / keys.norm(dim=-1, keepdim=True),
        "v": draw(B, H, time, E),
        "first": draw(B, H, E, D),
        "rate": torch.rand(B, H, time, dtype=torch.float64) * 0.5,
        "retain": retain,
        "erase": torch.rand(B, H, time, dtype=torch.float64) * 0.5,
        "q": draw(B, H, time, D),
    }
    for flow in flows.values():
        flow.requires_grad_()
    return {**flows, "erase": flows["erase"] if erase else None}


def run_naive(flows, token_by_token, *, objective, scale, retain_first):
    """Return answers (after, before) and the last state."""
    config = MemoryConfig(
        layers=1,
        linear=True,
        objective=objective,
        scale=scale,
        retain_first=retain_first,
        erase="none" if flows["erase"] is None else "key",
    )
    memory = token_by_token(config=config, running=[flows["first"].unsqueeze(2)])
    after, before = [], []
    for t in range(flows["k"].shape[2]):
        memory.commit()
        query = flows["q"][:, :, t].unsqueeze(2)
        before.append(memory.net(memory.running, query))
        events_now = {name: x for name, x in flows.items() if name != "first"}
        now = {name: None if x is None else x[:, :, t] for name, x in events_now.items()}
        value = now["v"].unsqueeze(2)
        rates = {role: now[role] for role in ("rate", "retain", "erase")}
        memory.step([(now["k"], value, None)], **rates)
        after.append(memory.net(memory.running, query))
    stacked = [torch.stack(answers, -2)[:, :, 0] for answers in (after, before)]
    return [*stacked, memory.running[0][:, :, 0]]


def run_ops(flows, **options):
    names = ("k", "v", "first", "rate", "retain", "erase")
    reads = [(flows["q"], "after"), (flows["q"], "before")]
    answers, last = linear_memory(*[flows[name] for name in names], reads, **options)
    return [*answers, last]


@pytest.mark.parametrize("seed", range(24))
def test_random_rules_equal_the_recurrence(seed, token_by_token, assert_alike, loss_gradients):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    signed = draw.random() < 0.3
    flows = events(draw.choice([1, 5, 8, 11]), signed=signed, erase=draw.random() < 0.5)
    rule = {
        "objective": draw.choice(["l2", "dot"]),
        "scale": draw.choice([1.0, 2.0]),
        "retain_first": draw.random() < 0.5,
    }
    ours = run_ops(flows, **rule, signed=signed, chunk=draw.choice([1, 3, 4, 32]))
    theirs = run_naive(flows, token_by_token, **rule)
    assert_alike(ours, theirs)
    inputs = [x for x in flows.values() if x is not None]
    assert_alike(loss_gradients(ours, inputs), loss_gradients(theirs, inputs))


@pytest.mark.parametrize("objective", ["l2", "dot"])
def test_any_split_gives_the_same_numbers(objective, assert_alike):
    torch.manual_seed(0)
    flows = events(13, erase=objective == "l2")
    whole = run_ops(flows, objective=objective, chunk=4)
    for cut in (1, 4, 6, 12):
        early = {n: x if n == "first" or x is None else x[:, :, :cut] for n, x in flows.items()}
        late = {n: x if n == "first" or x is None else x[:, :, cut:] for n, x in flows.items()}
        first = run_ops(early, objective=objective, chunk=4)
        second = run_ops({**late, "first": first[2]}, objective=objective, chunk=4)
        joined = [torch.cat(pair, 2) for pair in zip(first[:2], second[:2], strict=True)]
        assert_alike([*joined, second[2]], whole)


def test_numbers_and_rates_by_head_mean_the_same_as_flows(assert_alike):
    torch.manual_seed(1)
    flows = events(7)
    by_head = torch.tensor([0.9, 0.8], dtype=torch.float64)
    wide = {**flows, "rate": torch.full_like(flows["rate"], 0.3), "erase": None}
    wide["retain"] = by_head[:, None].expand(B, H, 7)
    narrow = {**wide, "rate": 0.3, "retain": by_head}
    assert_alike(run_ops(narrow, chunk=3), run_ops(wide, chunk=3))
    wide["retain"], narrow["retain"] = torch.ones_like(flows["retain"]), None
    assert_alike(run_ops(narrow, chunk=3), run_ops(wide, chunk=3))


def test_an_answer_knows_nothing_of_later_tokens():
    torch.manual_seed(2)
    flows = events(9)
    whole = run_ops(flows, chunk=4)
    changed = {**flows, "v": torch.cat((flows["v"][:, :, :6], -flows["v"][:, :, 6:]), 2)}
    other = run_ops(changed, chunk=4)
    torch.testing.assert_close(other[0][:, :, :6], whole[0][:, :, :6], rtol=0, atol=1e-14)
    assert not torch.allclose(other[0][:, :, 6:], whole[0][:, :, 6:])


@pytest.mark.parametrize("erase", [False, True])
def test_gradients_are_exact(erase):
    torch.manual_seed(3)
    flows = events(5, erase=erase)
    names = [name for name, x in flows.items() if x is not None]

    def run(*inputs):
        options = {"objective": "l2" if erase else "dot", "chunk": 2}
        return tuple(run_ops({"erase": None, **dict(zip(names, inputs, strict=True))}, **options))

    assert torch.autograd.gradcheck(run, [flows[name] for name in names])


def test_a_long_gentle_memory_stays_exact_in_float32():
    torch.manual_seed(4)
    flows = {n: None if x is None else x.detach() for n, x in events(512, erase=False).items()}
    flows["retain"] = flows["retain"] * 0.02 + 0.98
    exact = run_ops(flows)
    rounded = run_ops({n: None if x is None else x.float() for n, x in flows.items()})
    for a, b in zip(rounded, exact, strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5


def loop(flows, *, objective, scale, retain_first):
    """Return several events a position, all of which meet the state before it."""
    state, after, before = flows["first"], [], []
    for t in range(flows["q"].shape[2]):
        k, v, q = (flows[name][:, :, t] for name in ("k", "v", "q"))
        retain = flows["retain"][:, :, t, None, None]
        rate = flows["rate"][:, :, t].reshape(B, H, 1, -1)
        met = k @ (state * (retain if retain_first else 1.0)).mT
        write = rate * scale * (v - met if objective == "l2" else v)
        if flows["erase"] is not None:
            write = write - flows["erase"][:, :, t, None, None] * met
        before.append((state @ q.unsqueeze(-1)).squeeze(-1))
        state = state * retain + write.mT @ k
        after.append((state @ q.unsqueeze(-1)).squeeze(-1))
    return [torch.stack(after, 2), torch.stack(before, 2), state]


@pytest.mark.parametrize("seed", range(16))
def test_events_of_one_position_all_meet_the_state_before_it(seed, assert_alike, loss_gradients):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    time, many, signed = draw.choice([1, 5, 8]), draw.choice([2, 3]), draw.random() < 0.3
    flows = events(time, signed=signed, erase=draw.random() < 0.5)
    flows["k"] = torch.randn(B, H, time, many, D, dtype=torch.float64, requires_grad=True)
    flows["v"] = torch.randn(B, H, time, many, E, dtype=torch.float64, requires_grad=True)
    rule = {
        "objective": draw.choice(["l2", "dot"]),
        "scale": draw.choice([1.0, 2.0]),
        "retain_first": draw.random() < 0.5,
    }
    ours = run_ops(flows, **rule, signed=signed, chunk=draw.choice([1, 3, 32]))
    theirs = loop(flows, **rule)
    assert_alike(ours, theirs)
    inputs = [x for x in flows.values() if x is not None]
    assert_alike(loss_gradients(ours, inputs), loss_gradients(theirs, inputs))


@pytest.mark.parametrize("erase", [False, True])
def test_sums_take_rates_by_value(erase, assert_alike, loss_gradients):
    torch.manual_seed(5)
    flows = events(7, erase=erase)
    flows["rate"] = torch.rand(B, H, 7, E, dtype=torch.float64, requires_grad=True)
    rule = {"objective": "dot", "scale": 2.0, "retain_first": False}
    ours, theirs = run_ops(flows, **rule, chunk=3), loop(unsqueezed(flows), **rule)
    assert_alike(ours, theirs)
    inputs = [x for x in flows.values() if x is not None]
    assert_alike(loss_gradients(ours, inputs), loss_gradients(theirs, inputs))


def unsqueezed(flows):
    """Return one event a position, as a list of one."""
    return {**flows, "k": flows["k"].unsqueeze(3), "v": flows["v"].unsqueeze(3)}
