"""Orthogonalised momenta of a segment, with their derivative by hand, against a loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestgraph.ops.history import newton_schulz_rounds
from nestgraph.ops.history.directions import directions
from nestgraph.ops.history.newton_schulz import quintic

B, H, T, J = 2, 3, 4, 6


def one_by_one(speed, writes, inputs, start, events, end, steps) -> tuple[Tensor, ...]:
    found, last = [], torch.zeros(())
    for t in range(events.shape[-2]):
        left = writes * events[..., t, :].unsqueeze(-1)
        last = -(left.mT @ inputs)
        if speed is not None:
            last = last + start[..., t, :].unsqueeze(-1) * speed
        norm = last.square().sum((-1, -2), keepdim=True).sqrt()
        found.append(quintic(last / (norm + 1e-7), steps))
    total = sum(x * end[..., t, None, None] for t, x in enumerate(found))
    return torch.stack(found, -3), total, last


def case(rows: int, columns: int, members: int, shared: bool, moves: bool) -> list:
    def flow(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    lead = (B, H, 1)
    speed = flow(B, H, members, rows, columns) if moves else None
    writes = flow(B, H, members, J, rows)
    inputs = flow(B, H, 1 if shared else members, J, columns)
    start = flow(*lead, T, 1) if moves else None
    return [speed, writes, inputs, start, flow(*lead, T, J), flow(*lead, T)]


@pytest.mark.parametrize("size", [1, 200, 1 << 16])
@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (5, 3), (3, 5)])
def test_directions_and_all_their_gradients_are_those_of_a_loop(
    rows, columns, shared, moves, size, assert_alike, loss_gradients, monkeypatch
):
    monkeypatch.setattr(newton_schulz_rounds, "BLOCK", size)
    inputs = case(rows, columns, 2, shared, moves)
    ours, theirs = directions(*inputs, 3), one_by_one(*inputs, 3)
    assert_alike(ours, theirs)
    learned = [x for x in inputs if x is not None]
    assert_alike(loss_gradients(ours, learned), loss_gradients(theirs, learned))


def test_factors_may_be_the_same_for_all_heads(assert_alike):
    speed, writes, inputs, start, _, _ = case(3, 3, 1, shared=True, moves=True)
    events, end = torch.rand(T, J, dtype=torch.float64), torch.rand(T, dtype=torch.float64)
    wide = events.expand(B, H, 1, T, J), end.expand(B, H, 1, T)
    ours = directions(speed, writes, inputs, start, events, end, 2)
    assert_alike(ours, one_by_one(speed, writes, inputs, start, *wide, 2))


def test_their_slopes_are_what_small_moves_show():
    inputs = case(3, 2, 1, shared=True, moves=True)
    assert torch.autograd.gradcheck(
        lambda *x: directions(*x, 1), inputs, atol=1e-4, rtol=1e-3, fast_mode=True
    )
