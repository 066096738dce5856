"""Newton-Schulz in blocks, with its derivative by hand, against its definition and autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestgraph.ops.history import newton_schulz_rounds
from nestgraph.ops.history.newton_schulz import newton_schulz, quintic

SHAPES = [(3, 5, 6, 4), (2, 4, 6), (7, 3, 3), (1, 5), (4, 1), (6, 2, 1)]


def by_definition(x: Tensor, steps: int) -> Tensor:
    if x.shape[-2] > x.shape[-1]:
        return by_definition(x.mT, steps).mT
    x = x / (x.square().sum((-1, -2), keepdim=True).sqrt() + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x


@pytest.mark.parametrize("size", [1, 40, 1 << 16])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_matrices_and_their_gradients_are_those_of_the_definition(
    shape, steps, size, assert_alike, monkeypatch
):
    monkeypatch.setattr(newton_schulz_rounds, "BLOCK", size)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(shape, dtype=torch.float64)
    ours, theirs = newton_schulz(x, steps), by_definition(x, steps)
    assert_alike([ours], [theirs])
    assert_alike(torch.autograd.grad(ours, x, grad), torch.autograd.grad(theirs, x, grad))


def test_gradients_of_its_gradients_are_those_of_the_definition(assert_alike):
    x = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    mixer = torch.randn(3, 4, 5, dtype=torch.float64)
    found = []
    for function in (newton_schulz, by_definition):
        (slope,) = torch.autograd.grad(function(x, 3), x, grad, create_graph=True)
        found.append([slope, *torch.autograd.grad(slope, (x, grad), mixer)])
    assert_alike(*found)


def test_its_slope_is_what_small_moves_show():
    x = torch.linalg.qr(torch.randn(2, 4, 3, dtype=torch.float64)).Q
    x = (x + 0.1 * torch.rand_like(x)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: newton_schulz(x, 2), (x,), atol=1e-4)


def test_a_zero_matrix_stays_zero_and_learns_by_the_floor_of_its_norm(assert_alike):
    x = torch.zeros(2, 3, 3, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(2, 3, 3, dtype=torch.float64)
    y = newton_schulz(x, 2)
    assert torch.equal(y, torch.zeros_like(y))
    assert_alike(torch.autograd.grad(y, x, grad), [grad * 3.4445**2 / 1e-7])


def test_gradients_of_gradients_are_numbers_beside_and_at_a_zero_matrix(assert_alike):
    both = torch.randn(2, 3, 3, dtype=torch.float64)
    both[0] = 0
    grad, mixer = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    bends = []
    for x in (both, both[1:]):
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(newton_schulz(x, 2), x, grad[-len(x) :], create_graph=True)
        bends += torch.autograd.grad(slope, x, mixer[-len(x) :])
    assert bends[0].isfinite().all()
    assert_alike([bends[0][1:]], [bends[1]])


def test_views_are_read_as_they_lie(assert_alike):
    x = torch.randn(4, 3, 2, 5, dtype=torch.float64).permute(2, 0, 3, 1)
    assert_alike([newton_schulz(x, 3)], [by_definition(x, 3)])


def test_the_iteration_alone_takes_small_matrices_as_they_are(assert_alike):
    y = torch.randn(3, 2, 4, dtype=torch.float64)
    x = y / (y.square().sum((-1, -2), keepdim=True).sqrt() + 1e-7)
    assert_alike([quintic(x, 4), quintic(x.mT, 4).mT], [by_definition(y, 4)] * 2)
