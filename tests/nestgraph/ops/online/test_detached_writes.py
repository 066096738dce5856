"""What slower levels see of a linear memory whose writes are constants, against a loop."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import displaced, linear_memory

B, H, T, D, E = 2, 2, 7, 3, 4


def draw(*shape: int):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def by_hand(q, k, v, first, mode, period):
    """Return reads and commits of first + stop(state - first), token by token; after, before,
    last.
    """
    running = anchor = first
    after, before = [], []
    for t in range(T):
        before.append((running @ q[:, :, t].unsqueeze(-1)).squeeze(-1))
        moved = 0.9 * running.detach() + 0.3 * v[:, :, t].detach().unsqueeze(-1) * k[
            :, :, t
        ].unsqueeze(2)
        running = anchor + (moved - anchor).detach()
        after.append((running @ q[:, :, t].unsqueeze(-1)).squeeze(-1))
        if (t + 1) % period == 0:
            running = running.detach() if mode == "none" else running
            anchor = running
    return [torch.stack(after, 2), torch.stack(before, 2), running]


@pytest.mark.parametrize("mode", ["first_order", "none"])
@pytest.mark.parametrize("period", [1, 3, 7, 10])
def test_only_the_first_state_and_the_queries_learn(mode, period, assert_alike, loss_gradients):
    torch.manual_seed(period)
    q, k, v, first = draw(B, H, T, D), draw(B, H, T, D), draw(B, H, T, E), draw(B, H, E, D)
    inputs = [x.detach() for x in (k, v, first)]
    reads = [(q, "after"), (q, "before")]
    retain = torch.full((H,), 0.9, dtype=torch.float64)
    answers, last = linear_memory(*inputs, 0.3, retain, None, reads, objective="dot", chunk=3)
    until = period if mode == "none" else None
    answers, last = displaced(answers, last, first, [q, q], time=T, until=until)
    ours, theirs = [*answers, last], by_hand(q, k, v, first, mode, period)
    assert_alike(ours, theirs)
    ours, theirs = ([x for x in side if x.requires_grad] for side in (ours, theirs))
    assert_alike(loss_gradients(ours, [q, first]), loss_gradients(theirs, [q, first]))
    assert not torch.autograd.grad(sum(x.sum() for x in ours), [k, v], allow_unused=True)[0]


def test_a_piece_that_ends_before_the_cut_hands_the_gradient_on():
    first = draw(B, H, E, D)
    assert displaced([], first.detach(), first, [], time=4, until=None)[1].requires_grad
    assert displaced([], first.detach(), first, [], time=4, until=5)[1].requires_grad
    assert not displaced([], first.detach(), first, [], time=4, until=4)[1].requires_grad
