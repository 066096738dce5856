"""Several periods in one segment against one segment a period, and against finite differences."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from nestgraph.ops import MemoryConfig, Rates, State, advance, answer, read, write
from nestgraph.ops.history.low_rank_state import is_low_rank
from nestgraph.ops.ttt import segment_end
from nestgraph.ops.ttt.segment_update import At

B, H, M, T, D, PERIOD = 2, 2, 2, 6, 3, 2
FORMS = [
    MemoryConfig(layers=2, residual=True, momentum=True),
    MemoryConfig(layers=2, activation="gelu", scale=0.5, momentum=True, stepped=True, signed=True),
    MemoryConfig(layers=3, activation="tanh", objective="dot", momentum=True, stepped=True),
    MemoryConfig(layers=1, linear=True, momentum=True),
    MemoryConfig(layers=2, residual=True),
    MemoryConfig(layers=3, activation="tanh", objective="dot", residual=True),
    MemoryConfig(layers=2, bias=True, norm="layer_norm", residual=True, momentum=True),
    MemoryConfig(layers=2, implicit=True, objective="huber"),
]
CASES = list(product(FORMS, [True, False], ["after", "before", "boundary"]))


def draw(*shape: int) -> Tensor:
    return (torch.randn(*shape, dtype=torch.float64) * 0.6).requires_grad_()


class Given:
    """Random weights, flows and coefficients of a form."""

    def __init__(self, config: MemoryConfig, *, own: bool) -> None:
        self.config, self.own = config, own
        biases = [(B, H, M, D, 1)] * config.layers if config.bias else []
        shapes = [(B, H, M, D, D)] * config.layers + biases
        self.weights = [draw(*shape) for shape in shapes]
        self.speeds = [draw(*shape) for shape in shapes] if config.momentum else []
        self.q, self.k = draw(B, H, T, D), draw(B, H, T, D)
        self.v = draw(B, H, T, D) if own else draw(B, H, M, T, D)
        names = ["rate", "retain"]
        names += ["momentum"] if config.momentum else []
        names += ["step"] if config.stepped else []
        names += ["delta"] if config.objective == "huber" else []
        self.rates = {name: draw(B, H, T).detach().abs().requires_grad_() for name in names}
        self.slow = tuple(draw(H, M, D) for _ in range(2)) if config.norm != "none" else ()

    @property
    def leaves(self) -> list[Tensor]:
        flows = [self.q, self.k, self.v, *self.rates.values(), *self.slow]
        return [*self.weights, *self.speeds, *flows]

    def state(self) -> State:
        weights = tuple(self.weights)
        return State(weights, weights, tuple(self.speeds))

    def over(self, begin: int, end: int, at: At, state: State) -> tuple[Tensor, State]:
        """Return answers of some tokens, and the state behind them."""
        q, k = self.q[:, :, begin:end], self.k[:, :, begin:end]
        v = self.v[:, :, begin:end] if self.own else self.v[:, :, :, begin:end]
        rates = Rates(**{name: x[:, :, begin:end] for name, x in self.rates.items()})
        facts = (None, v) if self.own else (v, None)
        written = write(self.config, state, k, *facts, rates, slow=self.slow, period=PERIOD)
        y = read(self.config, written, q, at, self.slow)
        return y, advance(written, commit=True)

    def run(self, length: int, at: At) -> tuple[Tensor, ...]:
        """Return answers and the last state, in segments of a length."""
        state, answers = self.state(), []
        for begin in range(0, T, length):
            y, state = self.over(begin, begin + length, at, state)
            answers.append(y)
        return (torch.cat(answers, 3), *state.running, *state.momentum)


def gradients(answers: tuple[Tensor, ...], leaves: list[Tensor]) -> tuple[Tensor | None, ...]:
    source = torch.Generator().manual_seed(1)
    terms = [(x * torch.randn(x.shape, generator=source, dtype=x.dtype)).sum() for x in answers]
    return torch.autograd.grad(torch.stack(terms).sum(), leaves, allow_unused=True)


def assert_same(ours: tuple[Tensor | None, ...], theirs: tuple[Tensor | None, ...]) -> None:
    """Compare sums of some ten numbers of order 1, in another order; at times divided by a small
    root.
    """
    for mine, other in zip(ours, theirs, strict=True):
        blank = other if mine is None else mine
        if blank is not None:
            pair = (torch.zeros_like(blank) if x is None else x for x in (mine, other))
            torch.testing.assert_close(*pair, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("config", "own", "at"), CASES)
def test_periods_in_one_segment_are_periods_one_by_one(
    config: MemoryConfig, own: bool, at: At
) -> None:
    assert is_low_rank(config)
    given = Given(config, own=own)
    whole, parts = given.run(T, at), given.run(PERIOD, at)
    assert_same(whole, parts)
    assert_same(gradients(whole, given.leaves), gradients(parts, given.leaves))


@pytest.mark.parametrize(("config", "own", "at"), CASES)
def test_gradients_are_exact(config: MemoryConfig, own: bool, at: At) -> None:
    torch.manual_seed(0)
    given = Given(config, own=own)

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return given.run(T, at)

    assert torch.autograd.gradcheck(run, given.leaves, fast_mode=True)


@pytest.mark.parametrize("config", FORMS)
def test_a_read_at_the_boundary_asks_the_state_of_the_last_tick(config: MemoryConfig) -> None:
    given = Given(config, own=False)
    y = given.run(T, "boundary")[0]
    state, answers = given.state(), []
    for begin in range(0, T, PERIOD):
        end = begin + PERIOD
        answers.append(answer(config, state.anchor, given.q[:, :, begin:end], given.slow))
        _, state = given.over(begin, end, "after", state)
    torch.testing.assert_close(y, torch.cat(answers, 3), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("config", [FORMS[0], FORMS[4], FORMS[6]])
def test_a_segment_that_begins_between_ticks_takes_gradients_at_its_anchor(
    config: MemoryConfig,
) -> None:
    given = Given(config, own=False)
    state = given.state()
    other = tuple(draw(*w.shape) for w in given.weights)
    y, after = given.over(0, PERIOD, "boundary", state._replace(running=other))
    still, moved = given.over(0, PERIOD, "boundary", state)
    torch.testing.assert_close(y, still)
    for ours, theirs, a, b in zip(after.running, moved.running, other, given.weights, strict=True):
        retain = given.rates["retain"][:, :, :PERIOD].prod(2)[..., None, None, None]
        torch.testing.assert_close(ours - theirs, retain * (a - b))


@pytest.mark.parametrize(("config", "own", "at"), CASES)
def test_a_copied_state_holds_the_weights_of_its_tick_twice(
    config: MemoryConfig, own: bool, at: At
) -> None:
    given = Given(config, own=own)
    state = given.state()
    copied = state._replace(anchor=tuple(x.clone() for x in state.anchor))
    (y, after), (expected, behind) = (given.over(0, T, at, one) for one in (copied, state))
    assert torch.equal(y, expected)
    assert all(map(torch.equal, after.running, behind.running))


@pytest.mark.parametrize("large", [0, 2**13])
def test_matrices_may_be_taken_block_by_block(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    given = Given(FORMS[0], own=False)
    whole = given.run(T, "after")
    found = gradients(whole, given.leaves)
    monkeypatch.setattr(segment_end, "LARGE", large)
    monkeypatch.setattr(segment_end, "BLOCK", 1)
    again = given.run(T, "after")
    assert_same(whole, again)
    assert_same(found, gradients(again, given.leaves))
