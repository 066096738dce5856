"""Weights that a question hands on to the write behind it, and who may write to their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from nestgraph.ops import MemoryConfig, Rates, State, advance, answer, ask, checkpointed_loop, write
from nestgraph.ops.fused.gifts import gift_of, is_given

B, H, M, T, D = 1, 2, 2, 3, 2
FORMS = [
    MemoryConfig(layers=2, residual=True, erase="layers", implicit=True),
    MemoryConfig(layers=2, activation="gelu", momentum=True),
]
CASES = pytest.mark.parametrize("config", FORMS, ids=["erases", "momentum"])


def draw(*shape: int) -> Tensor:
    return (torch.randn(*shape, dtype=torch.float64) * 0.7).requires_grad_()


def given(config: MemoryConfig) -> list[Tensor]:
    torch.manual_seed(0)
    count = config.layers * (2 if config.momentum else 1)
    return [draw(B, H, T, D), *[draw(B, H, M, D, D) for _ in range(count)]]


def state_of(config: MemoryConfig, parts: Sequence[Tensor]) -> State:
    anchor = tuple(parts[: config.layers])
    return State(anchor, anchor, tuple(parts[config.layers :]))


def segment(
    config: MemoryConfig, x: Tensor, state: State, asks: Callable[..., tuple[Tensor, State]] = ask
) -> tuple[Tensor, State, State]:
    """Return the answer, the state that was written to, and the one behind the segment."""
    y, state = asks(config, state, x)
    rate = y.sum((2, 4)).sigmoid()
    momentum = rate if config.momentum else None
    written = write(config, state, x, y, None, Rates(rate=rate, retain=rate, momentum=momentum))
    return y, state, advance(written, commit=True)


def asked_alone(config: MemoryConfig, state: State, x: Tensor) -> tuple[Tensor, State]:
    return answer(config, state.anchor, x), state


@CASES
def test_gradients_are_exact_through_weights_that_are_handed_on(config: MemoryConfig) -> None:
    def run(*given: Tensor) -> tuple[Tensor, ...]:
        y, state, after = segment(config, given[0], state_of(config, given[1:]))
        return (y, *state.anchor, *after.running, *after.momentum)

    assert torch.autograd.gradcheck(run, tuple(given(config)), fast_mode=True)


@CASES
@pytest.mark.parametrize("others", [False, True])
def test_they_are_those_of_weights_that_are_not(config: MemoryConfig, others: bool) -> None:
    both = []
    for asks in (ask, asked_alone):
        leaves = given(config)
        y, state, after = segment(config, leaves[0], state_of(config, leaves[1:]), asks)
        read = state.anchor if others else ()
        loss = sum(x.square().sum() for x in (y, *after.running, *read))
        assert isinstance(loss, Tensor)
        both.append(torch.autograd.grad(loss, leaves))
    for mine, other in zip(*both, strict=True):
        torch.testing.assert_close(mine, other)


def test_a_gradient_that_others_hold_too_is_left_as_it_is() -> None:
    config = FORMS[0]
    x, *weights = given(config)
    y, state = ask(config, state_of(config, weights), x)
    mine = [torch.ones_like(w) for w in weights]
    torch.autograd.backward([y, *state.anchor], [torch.ones_like(y), *mine])
    assert all((one == 1).all() for one in mine)


def test_only_what_one_question_handed_on_has_its_gift() -> None:
    config = FORMS[0]
    x, *weights = given(config)
    handed_on = ask(config, state_of(config, weights), x)[1].anchor
    assert gift_of(handed_on) is not None
    assert gift_of((handed_on[0], weights[1])) is None
    assert gift_of(tuple(weights)) is None


def test_a_gift_is_told_by_its_memory() -> None:
    x = torch.zeros(2, 2)
    assert is_given(x, (x,))
    assert not is_given(x, (x.mT, x.clone()))
    assert not is_given(None, (x,))


@CASES
def test_a_walk_keeps_gradients_whole_that_its_caller_asks_for(config: MemoryConfig) -> None:
    x, *parts = given(config)

    def body(begin: int, end: int, due: object, state: State) -> tuple[Any, Any]:
        y, _, after = segment(config, x[:, :, begin:end], state)
        return (y.sum(2).transpose(1, 2),), (after,)

    cuts = [(begin, begin + 1, (True,)) for begin in range(T)]
    (_,), (middle,) = checkpointed_loop(body, cuts, (state_of(config, parts),))
    (y,), (last,) = checkpointed_loop(body, cuts, (middle,))
    loss = sum(z.square().sum() for z in (y, *last.running, *last.momentum))
    assert isinstance(loss, Tensor)
    wanted = (*middle.running, *middle.momentum)
    alone = torch.autograd.grad(loss, wanted, retain_graph=True)
    beside = torch.autograd.grad(loss, (*wanted, x))
    for one, other in zip(alone, beside, strict=False):
        assert torch.equal(one, other)
