"""A long walk runs its segments twice, with the numbers and gradients of a short one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestgraph.ops import checkpointed_loop, segments

TIME = 300


def walked(x: Tensor, first: Tensor, chunk: int, calls: list[int]) -> tuple[Tensor, Tensor]:
    """Return a state that decays and gathers, segment by segment."""

    def body(begin, end, due, state):
        calls.append(begin)
        piece = x[:, begin:end]
        answer = torch.tanh(piece * state.unsqueeze(1))
        return (answer,), (0.9 * state + answer.mean(1),)

    (y,), (last,) = checkpointed_loop(body, segments(0, TIME, (chunk,), 64), (first,))
    return y, last


@pytest.mark.parametrize("chunk", [1, 2, 50])
def test_any_number_of_segments_gives_the_recurrence_and_its_gradients(chunk: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, TIME, 3, dtype=torch.float64, requires_grad=True)
    first = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    y, last = walked(x, first, chunk, [])
    state, answers = first, []
    for begin in range(0, TIME, chunk):
        answers.append(torch.tanh(x[:, begin : begin + chunk] * state.unsqueeze(1)))
        state = 0.9 * state + answers[-1].mean(1)
    pull = torch.randn_like(y)
    ours = torch.autograd.grad((y * pull).sum() + last.sum(), (x, first))
    want = torch.cat(answers, 1)
    theirs = torch.autograd.grad((want * pull).sum() + state.sum(), (x, first))

    torch.testing.assert_close((y, last, *ours), (want, state, *theirs))


@pytest.mark.parametrize(("chunk", "times"), [(1, 2), (50, 1)])
def test_only_a_long_walk_runs_its_segments_again_for_the_backward(chunk: int, times: int) -> None:
    x = torch.randn(1, TIME, 3, requires_grad=True)
    calls: list[int] = []
    y, _ = walked(x, torch.ones(1, 3), chunk, calls)
    y.sum().backward()

    assert len(calls) == times * TIME // chunk


def test_without_gradients_nothing_runs_twice() -> None:
    calls: list[int] = []
    with torch.no_grad():
        walked(torch.randn(1, TIME, 3), torch.ones(1, 3), 1, calls)

    assert len(calls) == TIME
