"""Stacks of memories, segment by segment, against the literal recurrence token by token."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from nestgraph.ops import Form, State, advance, answer, first_state, read, write

ACTIVATIONS = ["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh"]
B, H, D = 2, 2, 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A form with random events for it."""

    form: Form
    weights: list[Tensor]  # (H, M, out, in)
    keys: Tensor
    query: Tensor
    values: Tensor | None
    own: Tensor | None
    rate: Tensor | None
    retain: Tensor | None
    momentum: Tensor | None
    erase_rate: Tensor | None

    def inputs(self) -> list[Tensor]:
        flows = [self.keys, self.query, self.values, self.own]
        flows += [self.rate, self.retain, self.momentum, self.erase_rate]
        return self.weights + [x for x in flows if x is not None]

    def piece(self, begin: int, end: int) -> dict[str, Tensor | None]:
        def cut(x: Tensor | None, axis: int = 2) -> Tensor | None:
            return None if x is None else x.narrow(axis, begin, end - begin)

        return {
            "k": cut(self.keys),
            "values": cut(self.values, 3),
            "own": cut(self.own),
            "rate": cut(self.rate),
            "retain": cut(self.retain),
            "momentum": cut(self.momentum),
            "erase_rate": cut(self.erase_rate),
        }


def make_case(form: Form, time: int, *, members: int = 2, **given: bool) -> Case:
    """Random events; `given` leaves coefficients out, or asks for values of its own."""

    def unit(*shape: int, width: int = D) -> Tensor:
        x = torch.randn(*shape, width, dtype=torch.float64)
        return (x / x.norm(dim=-1, keepdim=True)).requires_grad_()

    def gate(name: str, low: float, high: float) -> Tensor | None:
        if not given.get(name, True):
            return None
        x = torch.rand(B, H, time, dtype=torch.float64) * (high - low) + low
        if form.signed and name in ("retain", "momentum"):
            x = (x * torch.randint(-1, 2, x.shape)).contiguous()
        return x.requires_grad_()

    out = D if form.residual else D + 2
    sizes = [D, *[4] * (form.layers - 1), out]
    weights = [
        (torch.randn(H, members, o, i, dtype=torch.float64) / i**0.5).requires_grad_()
        for i, o in pairwise(sizes)
    ]
    own = given.get("own", False)
    return Case(
        form=form,
        weights=weights,
        keys=unit(B, H, time),
        query=unit(B, H, time),
        values=None if own else unit(B, H, members, time, width=out),
        own=unit(B, H, time) if own else None,
        rate=gate("rate", 0.05, 0.4),
        retain=gate("retain", 0.5, 1.0),
        momentum=gate("momentum", 0.2, 0.9) if form.momentum else None,
        erase_rate=gate("erase_rate", 0.0, 0.5) if given.get("erase_rate") else None,
    )


def start(case: Case) -> State:
    form = case.form
    return first_state(tuple(case.weights), B, momentum=form.momentum, kept=form.retain_first)


def run_ops(
    case: Case, cuts: list[int], ticks: set[int], moments: tuple[str, ...] = ("after", "before")
) -> tuple[list[Tensor], State]:
    """Answers at the moments and the boundary over segments to `cuts`, and the last state.

    Without moments nothing reads inside a segment: each is one fused step where the form allows.
    """
    state, answers = start(case), []
    for begin, end in pairwise([0, *cuts]):
        events, query = case.piece(begin, end), case.query[:, :, begin:end]
        written = write(case.form, state, *events.values())
        row = [read(case.form, state, written, query, at) for at in moments]
        row.append(answer(case.form, state.anchor, query))
        answers.append(torch.stack(row))
        state = advance(case.form, state, written, commit=end in ticks)
    return [torch.cat(answers, -2)], state


def run_naive(case: Case, ticks: set[int], token_by_token) -> tuple[list[Tensor], State]:
    state = start(case)
    memory = token_by_token(form=case.form, running=list(state.running))
    answers = []
    for t in range(case.keys.shape[2]):
        if t in ticks:
            memory.commit()
        query = case.query[:, :, t].unsqueeze(2)
        before = memory.net(memory.running, query)
        boundary = memory.net(memory.anchor, query)
        events = {
            name: None if x is None else x.select(3 if name == "values" else 2, 0)
            for name, x in case.piece(t, t + 1).items()
        }
        memory.step(*events.values())
        after = memory.net(memory.running, query)
        answers.append(torch.stack([after, before, boundary]))
    speeds = tuple(memory.speeds) if case.form.momentum else ()
    kept = memory.kept if case.form.retain_first else None
    return [torch.stack(answers, -2)], State(
        tuple(memory.running), tuple(memory.anchor), speeds, kept
    )


def tensors(state: State) -> list[Tensor]:
    kept = [] if state.kept is None else [state.kept]
    return [*state.running, *state.anchor, *state.momentum, *kept]


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


def random_form(draw: random.Random) -> Form:
    linear = draw.random() < 0.3
    return Form(
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
    form = random_form(draw)
    given = {name: draw.random() < 0.8 for name in ("rate", "retain")}
    given |= {"own": draw.random() < 0.5, "erase_rate": draw.random() < 0.4}
    case = make_case(form, 9, members=draw.choice([1, 3]), **given)
    period = draw.choice([1, 3, 4, 20])
    ticks = set(range(period, 9, period))
    cuts = sorted({9, *ticks, *draw.sample(range(1, 9), draw.randint(0, 3))})
    check(case, cuts, ticks, tools)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns_through_a_write(activation, tools):
    torch.manual_seed(0)
    form = Form(layers=3, activation=activation, residual=True, erase="layers", implicit=True)
    check(make_case(form, 6, own=True), [3, 6], {3}, tools)


@pytest.mark.parametrize("erase", ["none", "key", "layers"])
@pytest.mark.parametrize("retain_first", [False, True])
@pytest.mark.parametrize("own_rate", [False, True])
def test_momentum_erase_and_retention_combine_in_any_way(erase, retain_first, own_rate, tools):
    torch.manual_seed(1)
    form = Form(layers=2, erase=erase, retain_first=retain_first, momentum=True)
    check(make_case(form, 7, erase_rate=own_rate), [4, 7], {4}, tools)


def test_any_split_of_a_period_gives_the_same_numbers(assert_alike):
    torch.manual_seed(2)
    form = Form(layers=2, residual=True, erase="key", implicit=True, momentum=True)
    case = make_case(form, 12, own=True)
    whole, state = run_ops(case, [6, 12], {6})
    for cuts in ([1, 6, 12], [2, 3, 6, 11, 12], list(range(1, 13))):
        pieces, other = run_ops(case, cuts, {6})
        assert_alike([*pieces, *tensors(other)], [*whole, *tensors(state)])


def test_two_heads_are_two_memories_and_rows_never_mix(assert_alike):
    torch.manual_seed(3)
    form = Form(layers=2, erase="layers")
    case = make_case(form, 5)
    whole, _ = run_ops(case, [5], set())
    for row in range(B):
        for head in range(H):
            one = {
                name: getattr(case, name)[row : row + 1, head : head + 1].expand(B, H, *shape)
                for name in ("keys", "query", "values", "rate", "retain")
                for shape in [getattr(case, name).shape[2:]]
            }
            weights = [w[head : head + 1].expand(H, *w.shape[1:]) for w in case.weights]
            alone, _ = run_ops(replace(case, weights=weights, **one), [5], set())
            assert_alike([alone[0][:, 0, 0]], [whole[0][:, row, head]])


def test_an_answer_knows_nothing_of_later_tokens():
    torch.manual_seed(4)
    form = Form(layers=2, erase="key", momentum=True)
    case = make_case(form, 8)
    whole, _ = run_ops(case, [8], set())
    changed = replace(case, keys=torch.cat((case.keys[:, :, :5], -case.keys[:, :, 5:]), 2))
    other, _ = run_ops(changed, [8], set())
    assert torch.equal(whole[0][..., :5, :], other[0][..., :5, :])


def test_queries_may_differ_by_member(assert_alike):
    torch.manual_seed(5)
    form = Form(layers=2, residual=True, erase="key")
    case = make_case(form, 4, members=2)
    state = start(case)
    written = write(form, state, *case.piece(0, 4).values())
    other = torch.randn_like(case.query)
    both = torch.stack((case.query, other), 2)
    for ask in (
        lambda q: read(form, state, written, q),
        lambda q: answer(form, state.anchor, q),
    ):
        first, second = ask(case.query)[:, :, 0], ask(other)[:, :, 1]
        assert_alike([ask(both)], [torch.stack((first, second), 2)])


def test_a_commit_moves_the_anchor_and_nothing_else(assert_alike):
    torch.manual_seed(6)
    form = Form(layers=2, retain_first=True, momentum=True)
    case = make_case(form, 4)
    state = start(case)
    written = write(form, state, *case.piece(0, 4).values())
    ticked, open_ = (advance(form, state, written, commit=commit) for commit in (True, False))
    assert_alike([*ticked.running, *ticked.momentum], [*open_.running, *open_.momentum])
    assert_alike(ticked.anchor, ticked.running)
    assert_alike(open_.anchor, state.anchor)
    assert torch.equal(ticked.kept, torch.ones_like(open_.kept))


def test_without_gradients_the_numbers_are_the_same(assert_alike):
    torch.manual_seed(7)
    form = Form(layers=2, residual=True, erase="key", implicit=True)
    case = make_case(form, 6, own=True)
    learned, state = run_ops(case, [3, 6], {3})
    with torch.no_grad():
        asked, other = run_ops(case, [3, 6], {3})
    assert_alike([*asked, *tensors(other)], [*learned, *tensors(state)])
