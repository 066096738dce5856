"""Stacks of memories, segment by segment, against the literal recurrence token by token."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from nestgraph.ops import (
    MemoryConfig,
    Rates,
    SegmentUpdate,
    State,
    advance,
    answer,
    first_state,
    read,
    weights_at_boundary,
    write,
)

ACTIVATIONS = ["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh"]
B, H, D = 2, 2, 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A form with random events for it."""

    config: MemoryConfig
    weights: list[Tensor]  # (H, M, out, in), then biases (H, M, out, 1)
    slow: tuple[Tensor, ...]
    keys: Tensor
    query: Tensor
    values: Tensor | None
    own: Tensor | None
    erase_key: Tensor | None
    rates: dict[str, Tensor]  # (B, H, T) or (B, H, T, n)

    @property
    def time(self) -> int:
        return self.query.shape[2]

    def inputs(self) -> list[Tensor]:
        flows = [self.keys, self.query, self.values, self.own, self.erase_key]
        flows += [*self.slow, *self.rates.values()]
        return self.weights + [x for x in flows if x is not None]

    def written(self, state: State, begin: int, end: int) -> SegmentUpdate:
        count = self.config.events

        def cut(x: Tensor | None, axis: int = 2, size: int = 1) -> Tensor | None:
            return None if x is None else x.narrow(axis, begin * size, (end - begin) * size)

        rates = Rates(**{name: cut(x) for name, x in self.rates.items()})
        flows = (cut(self.keys, 2, count), cut(self.values, 3, count), cut(self.own, 2, count))
        options = {"slow": self.slow, "erase_key_BHTD": cut(self.erase_key)}
        return write(self.config, state, *flows, rates, **options)

    def position(self, t: int) -> tuple[list[tuple[Tensor, ...]], dict[str, Tensor | None]]:
        count = self.config.events
        events = [
            (
                self.keys[:, :, i],
                None if self.values is None else self.values[:, :, :, i],
                None if self.own is None else self.own[:, :, i],
            )
            for i in range(t * count, (t + 1) * count)
        ]
        roles = ("rate", "retain", "momentum", "step", "erase", "share", "delta")
        rates = {role: self.rates[role][:, :, t] if role in self.rates else None for role in roles}
        key = None if self.erase_key is None else self.erase_key[:, :, t]
        return events, {**rates, "erase_key": key}


def make_case(config: MemoryConfig, time: int, *, members: int = 2, **given: bool) -> Case:
    """Return random events; `given` leaves coefficients out, or asks for values of its own."""
    out = D if config.residual or given.get("own") else D + 2
    sizes = [D, *[4] * (config.layers - 1), out]

    def unit(*shape: int, width: int = D) -> Tensor:
        x = torch.randn(*shape, width, dtype=torch.float64)
        return (x / x.norm(dim=-1, keepdim=True)).requires_grad_()

    def gate(role: str, low: float, high: float) -> Tensor:
        numbers = {"head": (), "value": (out,), "key": (D,), "cell": (out * D,)}
        shape = numbers[config.kind("erase_rate" if role == "erase" else role)]
        x = torch.rand(B, H, time, *shape, dtype=torch.float64) * (high - low) + low
        if config.signed and role in ("retain", "momentum"):
            x = (x * torch.randint(-1, 2, x.shape)).contiguous()
        return x.requires_grad_()

    weights = [
        (torch.randn(H, members, o, i, dtype=torch.float64) / i**0.5).requires_grad_()
        for i, o in pairwise(sizes)
    ]
    if config.bias:
        weights += [
            (0.3 * torch.randn(H, members, o, 1, dtype=torch.float64)).requires_grad_()
            for o in sizes[1:]
        ]
    slow = (
        ()
        if config.norm == "none"
        else tuple(
            (x + 0.2 * torch.randn(H, members, out, dtype=torch.float64)).requires_grad_()
            for x in ((1.0, 0.0) if config.norm == "layer_norm" else (1.0,))
        )
    )
    asked = {
        "rate": (given.get("rate", True), 0.05, 0.2 if config.objective == "lp" else 0.4),
        "retain": (given.get("retain", True), 0.5, 1.0),
        "momentum": (config.momentum, 0.2, 0.9),
        "step": (config.stepped, 0.1, 0.7),
        "erase": (given.get("erase_rate", False), 0.0, 0.5),
        "share": (config.reduces, 0.2, 0.9),
        "delta": (config.objective == "huber", 0.3, 1.0),
    }
    own, events = given.get("own", False), time * config.events
    return Case(
        config=config,
        weights=weights,
        slow=slow,
        keys=unit(B, H, events),
        query=unit(B, H, time),
        values=None if own else unit(B, H, members, events, width=out),
        own=unit(B, H, events) if own else None,
        erase_key=unit(B, H, time) if config.erase_key else None,
        rates={role: gate(role, low, high) for role, (yes, low, high) in asked.items() if yes},
    )


def start(case: Case) -> State:
    config, rates = case.config, case.rates
    count = rates["rate"].shape[3] if "rate" in rates and rates["rate"].dim() == 4 else 0
    kept = None
    if config.retain_first:
        kept = rates["retain"].shape[3] if "retain" in rates and rates["retain"].dim() == 4 else 0
    options = {"rate": count, "delta": "delta" in rates, "kept": kept}
    return first_state(config, tuple(case.weights), B, **options)


def run_ops(
    case: Case, cuts: list[int], ticks: set[int], moments: tuple[str, ...] = ("after", "before")
) -> tuple[list[Tensor], State]:
    """Return answers at the moments and the boundary over segments to `cuts`, and the last state.

    Without moments nothing reads inside a segment: each is one fused step where the form allows.
    """
    state, answers = start(case), []
    for begin, end in pairwise([0, *cuts]):
        query = case.query[:, :, begin:end]
        written = case.written(state, begin, end)
        row = [read(case.config, written, query, at, case.slow) for at in moments]
        row.append(answer(case.config, weights_at_boundary(case.config, state), query, case.slow))
        answers.append(torch.stack(row))
        state = advance(written, commit=end in ticks)
    return [torch.cat(answers, -2)], state


def run_naive(case: Case, ticks: set[int], token_by_token) -> tuple[list[Tensor], State]:
    config, state = case.config, start(case)
    memory = token_by_token(config=config, running=list(state.running), slow=case.slow)
    answers = []
    for t in range(case.time):
        query = case.query[:, :, t].unsqueeze(2)
        before = memory.net(memory.mapped(memory.theta()), query)
        boundary = memory.net(memory.mapped(memory.anchor), query)
        events, rates = case.position(t)
        memory.step(events, **rates)
        after = memory.net(memory.mapped(memory.theta()), query)
        answers.append(torch.stack([after, before, boundary]))
        if t + 1 in ticks:
            memory.commit()
    speeds = tuple(memory.speeds) if config.momentum else ()
    kept = memory.kept.flatten(2).squeeze(2) if config.retain_first else None
    return [torch.stack(answers, -2)], State(
        tuple(memory.running),
        tuple(memory.anchor),
        speeds,
        kept,
        memory.share if config.reduces else None,
    )


def tensors(state: State) -> list[Tensor]:
    rest = [x for x in (state.kept, state.share) if x is not None]
    return [*state.running, *state.anchor, *state.momentum, *rest]


def check(case: Case, cuts: list[int], ticks: set[int], tools) -> None:
    token_by_token, assert_alike, loss_gradients = tools
    (naive,), their_state = run_naive(case, ticks, token_by_token)
    for moments, theirs in ((("after", "before"), naive), ((), naive[2:])):
        ours, our_state = run_ops(case, cuts, ticks, moments)
        left, right = [*ours, *tensors(our_state)], [theirs, *tensors(their_state)]
        assert_alike(left, right)
        inputs = case.inputs()
        assert_alike(loss_gradients(left, inputs), loss_gradients(right, inputs))


@pytest.fixture
def tools(token_by_token, assert_alike, loss_gradients):
    return token_by_token, assert_alike, loss_gradients


def random_form(draw: random.Random) -> MemoryConfig:
    linear = draw.random() < 0.3
    return MemoryConfig(
        layers=1 if linear else draw.choice([1, 2, 3]),
        activation=draw.choice(ACTIVATIONS),
        residual=draw.random() < 0.5,
        linear=linear,
        objective=draw.choice(["l2", "dot"]),
        scale=draw.choice([1.0, 2.0, 0.7]),
        retain_first=draw.random() < 0.4,
        erase=draw.choice(["none", "key", "layers"]),
        implicit=draw.random() < 0.5,
        momentum=draw.random() < 0.5,
        signed=draw.random() < 0.3,
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_forms_equal_the_recurrence_in_answers_states_and_gradients(seed, tools):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    config = random_form(draw)
    given = {name: draw.random() < 0.8 for name in ("rate", "retain")}
    given |= {"own": draw.random() < 0.5, "erase_rate": draw.random() < 0.4}
    case = make_case(config, 9, members=draw.choice([1, 3]), **given)
    period = draw.choice([1, 3, 4, 20])
    ticks = set(range(period, 9, period))
    cuts = sorted({9, *ticks, *draw.sample(range(1, 9), draw.randint(0, 3))})
    check(case, cuts, ticks, tools)


def rich_form(draw: random.Random) -> MemoryConfig:
    """Return any form that the language has."""
    linear = draw.random() < 0.4
    config = MemoryConfig(
        layers=1 if linear else draw.choice([1, 2, 3]),
        activation=draw.choice(["silu", "gelu_tanh"]),
        residual=draw.random() < 0.5,
        linear=linear,
        bias=not linear and draw.random() < 0.5,
        norm="none" if linear else draw.choice(["none", "layer_norm", "rms_norm"]),
        objective=draw.choice(["l2", "dot", "huber", "lp"]),
        power=draw.choice([2.0, 3.0, 2.5]),
        switch=draw.choice(["channel", "norm"]),
        scale=draw.choice([1.0, 0.7]),
        window=draw.choice([1, 1, 2, 4]),
        events=draw.choice([1, 1, 2]),
        retain_first=draw.random() < 0.3,
        erase=draw.choice(["none", "key", "layers"]),
        implicit=draw.random() < 0.3,
        momentum=draw.random() < 0.5,
        stepped=draw.random() < 0.5,
        direction_steps=draw.choice([0, 0, 3]),
        mirror=draw.choice(["none", "none", "softmax", "lq"]),
        mirror_power=draw.choice([4.0, 3.0]),
        reduces=draw.random() < 0.4,
        gradient=draw.choice(["full", "full", "first_order", "none"]),
    )
    if not linear or draw.random() < 0.5:
        return config
    roles = ("rate", "momentum", "retain", "step", "erase_rate")
    per = tuple((role, draw.choice(["head", "value", "key", "cell"])) for role in roles)
    key = config.erase == "key" and draw.random() < 0.5
    return replace(config, per=per, erase_key=key, implicit=False)


def is_scan(config: MemoryConfig) -> bool:
    """Return whether the place of the gradient differs from token to token."""
    within = config.mirror != "none" or config.window > 1 or config.kind("retain") != "head"
    return config.retain_first and within


@pytest.mark.parametrize("seed", range(200))
def test_rich_forms_equal_the_recurrence_in_answers_states_and_gradients(seed, tools):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    config = rich_form(draw)
    given = {name: draw.random() < 0.8 for name in ("rate", "retain")}
    given |= {"own": draw.random() < 0.3, "erase_rate": draw.random() < 0.4}
    config = replace(config, self_values=given["own"])
    case = make_case(config, 6, members=1 if config.per else draw.choice([1, 2]), **given)
    period = draw.choice([1, 2, 3, 20])
    ticks = set(range(period, 6, period))
    cuts = sorted({6, *ticks, *draw.sample(range(1, 6), draw.randint(0, 2))})
    check(case, list(range(1, 7)) if is_scan(config) else cuts, ticks, tools)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns_through_a_write(activation, tools):
    torch.manual_seed(0)
    config = MemoryConfig(
        layers=3, activation=activation, residual=True, erase="layers", implicit=True
    )
    check(make_case(config, 6, own=True), [3, 6], {3}, tools)


@pytest.mark.parametrize("erase", ["none", "key", "layers"])
@pytest.mark.parametrize("retain_first", [False, True])
@pytest.mark.parametrize("own_rate", [False, True])
def test_momentum_erase_and_retention_combine_in_any_way(erase, retain_first, own_rate, tools):
    torch.manual_seed(1)
    config = MemoryConfig(layers=2, erase=erase, retain_first=retain_first, momentum=True)
    check(make_case(config, 7, erase_rate=own_rate), [4, 7], {4}, tools)


def test_any_split_of_a_period_gives_the_same_numbers(assert_alike):
    torch.manual_seed(2)
    config = MemoryConfig(layers=2, residual=True, erase="key", implicit=True, momentum=True)
    case = make_case(config, 12, own=True)
    whole, state = run_ops(case, [6, 12], {6})
    for cuts in ([1, 6, 12], [2, 3, 6, 11, 12], list(range(1, 13))):
        pieces, other = run_ops(case, cuts, {6})
        assert_alike([*pieces, *tensors(other)], [*whole, *tensors(state)])


@pytest.mark.parametrize("seed", range(30))
def test_asking_some_members_is_a_part_of_asking_all(seed, assert_alike, loss_gradients):
    """Forms with a step by hand work out these members alone, the others all of them."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    case = make_case(random_form(draw), 6, members=4, own=draw.random() < 0.5)
    some = draw.choice([(0, 1), (1, 3), (3, 4), (0, 4)])
    at, answers = draw.choice(["after", "before"]), []
    for part in (some, None):
        written = case.written(start(case), 0, 6)
        y = read(case.config, written, case.query, at, some=part)
        answers.append(y if part else y[:, :, slice(*some)])
        answers.append(advance(written, commit=True).running[0])
    ours, theirs = answers[:2], answers[2:]
    assert_alike(ours, theirs)
    inputs = case.inputs()
    assert_alike(loss_gradients(ours, inputs), loss_gradients(theirs, inputs))


def test_two_heads_are_two_memories_and_rows_never_mix(assert_alike):
    torch.manual_seed(3)
    config = MemoryConfig(layers=2, erase="layers")
    case = make_case(config, 5)
    whole, _ = run_ops(case, [5], set())
    for row in range(B):
        for head in range(H):

            def alone_in(x: Tensor, row: int = row, head: int = head) -> Tensor:
                return x[row : row + 1, head : head + 1].expand(B, H, *x.shape[2:])

            flows = {name: alone_in(getattr(case, name)) for name in ("keys", "query", "values")}
            rates = {role: alone_in(x) for role, x in case.rates.items()}
            weights = [w[head : head + 1].expand(H, *w.shape[1:]) for w in case.weights]
            alone, _ = run_ops(replace(case, weights=weights, rates=rates, **flows), [5], set())
            assert_alike([alone[0][:, 0, 0]], [whole[0][:, row, head]])


def test_an_answer_knows_nothing_of_later_tokens():
    torch.manual_seed(4)
    config = MemoryConfig(layers=2, erase="key", momentum=True)
    case = make_case(config, 8)
    whole, _ = run_ops(case, [8], set())
    changed = replace(case, keys=torch.cat((case.keys[:, :, :5], -case.keys[:, :, 5:]), 2))
    other, _ = run_ops(changed, [8], set())
    assert torch.equal(whole[0][..., :5, :], other[0][..., :5, :])


def test_queries_may_differ_by_member(assert_alike):
    torch.manual_seed(5)
    config = MemoryConfig(layers=2, residual=True, erase="key")
    case = make_case(config, 4, members=2)
    state = start(case)
    written = case.written(state, 0, 4)
    other = torch.randn_like(case.query)
    both = torch.stack((case.query, other), 2)
    for ask in (
        lambda q: read(config, written, q),
        lambda q: answer(config, state.anchor, q),
    ):
        first, second = ask(case.query)[:, :, 0], ask(other)[:, :, 1]
        assert_alike([ask(both)], [torch.stack((first, second), 2)])


def test_a_commit_moves_the_anchor_and_nothing_else(assert_alike):
    torch.manual_seed(6)
    config = MemoryConfig(layers=2, retain_first=True, momentum=True)
    case = make_case(config, 4)
    state = start(case)
    written = case.written(state, 0, 4)
    ticked, open_ = (advance(written, commit=commit) for commit in (True, False))
    assert_alike([*ticked.running, *ticked.momentum], [*open_.running, *open_.momentum])
    assert_alike(ticked.anchor, ticked.running)
    assert_alike(open_.anchor, state.anchor)
    assert torch.equal(ticked.kept, torch.ones_like(open_.kept))


def test_without_gradients_the_numbers_are_the_same(assert_alike):
    torch.manual_seed(7)
    config = MemoryConfig(layers=2, residual=True, erase="key", implicit=True)
    case = make_case(config, 6, own=True)
    learned, state = run_ops(case, [3, 6], {3})
    with torch.no_grad():
        asked, other = run_ops(case, [3, 6], {3})
    assert_alike([*asked, *tensors(other)], [*learned, *tensors(state)])
