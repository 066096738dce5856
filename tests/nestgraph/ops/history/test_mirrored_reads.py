"""Reads through a mirror map, with their derivative by hand, against every state written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestgraph.ops import MemoryConfig
from nestgraph.ops.history import newton_schulz_rounds
from nestgraph.ops.history.mirrored_reads import mirrored_read
from nestgraph.ops.history.mirrors import mirror

B, H, M, T, J = 2, 2, 2, 4, 5
MAPS = [("softmax", 2.0), ("lq", 4.0), ("lq", 3.0), ("lq", 2.5)]


def form_of(name: str, power: float) -> MemoryConfig:
    return MemoryConfig(layers=1, linear=True, mirror=name, mirror_power=power)


def one_by_one(config, x, first, start, events, writes, inputs) -> Tensor:
    answers = []
    for t in range(T):
        left = writes * events[..., t, :].unsqueeze(-1)
        state = start[..., t, :].unsqueeze(-1) * first - left.mT @ inputs
        answers.append((mirror(config, state) @ x[..., t, :].unsqueeze(-1)).squeeze(-1))
    return torch.stack(answers, -2)


def case(rows: int, columns: int, *, shared: bool) -> list[Tensor]:
    def flow(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    n = 1 if shared else M
    shapes = [(B, H, n, T, columns), (B, H, M, rows, columns), (B, H, 1, T, 1)]
    shapes += [(B, H, 1, T, J), (B, H, M, J, rows), (B, H, n, J, columns)]
    return [flow(*shape) for shape in shapes]


@pytest.mark.parametrize("size", [1, 150, 1 << 16])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (5, 3), (3, 5)])
@pytest.mark.parametrize(("name", "power"), MAPS)
def test_answers_and_all_their_gradients_are_those_of_states_written_out(
    name, power, rows, columns, shared, size, assert_alike, loss_gradients, monkeypatch
):
    monkeypatch.setattr(newton_schulz_rounds, "BLOCK", size)
    config, inputs = form_of(name, power), case(rows, columns, shared=shared)
    ours, theirs = mirrored_read(config, *inputs), one_by_one(config, *inputs)
    assert_alike([ours], [theirs])
    assert_alike(loss_gradients([ours], inputs), loss_gradients([theirs], inputs))


@pytest.mark.parametrize("name", ["softmax", "lq"])
def test_what_is_left_may_be_the_same_for_all_heads(name, assert_alike):
    config, (x, first, _, _, *rest) = form_of(name, 4.0), case(3, 3, shared=True)
    start = torch.rand(1, 1, 1, T, 1, dtype=torch.float64)
    events = torch.rand(1, 1, 1, T, J, dtype=torch.float64)
    ours = mirrored_read(config, x, first, start, events, *rest)
    assert_alike([ours], [one_by_one(config, x, first, start, events, *rest)])


@pytest.mark.parametrize("q", [4.0, 2.5, 1.5])
def test_a_zero_state_answers_zero_and_learns_as_written_out(q, assert_alike, loss_gradients):
    config, (x, first, start, events, *rest) = form_of("lq", q), case(3, 3, shared=True)
    with torch.no_grad():
        first.zero_(), events.zero_()
    inputs = [x, first, start, events, *rest]
    ours, theirs = mirrored_read(config, *inputs), one_by_one(config, *inputs)
    assert torch.equal(ours, torch.zeros_like(ours))
    assert_alike(loss_gradients([ours], inputs), loss_gradients([theirs], inputs))


@pytest.mark.parametrize(("name", "power"), MAPS)
def test_their_slopes_are_what_small_moves_show(name, power):
    config, (x, first, *rest) = form_of(name, power), case(3, 2, shared=True)
    first = (first.sign() * (1 + first.abs())).detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *flows: mirrored_read(config, *flows),
        (x, first, *rest),
        atol=1e-4,
        rtol=1e-3,
        fast_mode=True,
    )
