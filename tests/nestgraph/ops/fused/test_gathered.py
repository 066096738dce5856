"""Gradients that products add to those of the past."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestgraph.ops import Gathered, online_net


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def net(batch: int, heads: int, *, gated: bool = False) -> tuple[Tensor, ...]:
    upper = 10 if gated else 5
    shapes = [(batch, heads, upper, 3), (batch, heads, 2, 5), (batch, heads, upper)]
    shapes.append((batch, heads, 2))
    return tuple(random(*shape).requires_grad_() for shape in shapes)


def gradients(
    x_BTW: Tensor,
    weights: tuple[Tensor, ...],
    past: Gathered | None,
    reads: int,
    *,
    activation: str = "gelu",
    gated: bool = False,
) -> tuple[Tensor, ...]:
    inputs = x_BTW.clone().requires_grad_()
    flow = inputs
    for _ in range(reads):
        answer = online_net(
            flow, weights, activation, layers=2, residual=False, gated=gated, past=past
        )
        flow = flow + answer.repeat_interleave(3, -1)[..., ::2]
    return torch.autograd.grad(flow.sin().sum(), (inputs, *weights), allow_unused=True)


@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize(("batch", "heads"), [(1, 1), (2, 1), (1, 2)])
def test_matrices_get_their_past_once_and_biases_not(
    batch: int, heads: int, ours: bool, reads: int
) -> None:
    weights, x = net(batch, heads), random(batch, 7, 3 * heads)
    past = tuple(map(torch.randn_like, weights))
    then = [part.detach().clone() for part in past]
    wanted = gradients(x, weights, None, reads)
    kept = Gathered(tuple(part.detach() for part in past), ours=ours)
    found = gradients(x, weights, kept, reads)

    torch.testing.assert_close(found[0], wanted[0])
    for own, plain, before in zip(found[1:3], wanted[1:3], then, strict=False):
        torch.testing.assert_close(own, plain + before)
    torch.testing.assert_close(found[3:], wanted[3:])
    assert [part is None for part in kept.left] == [True, True, False, False]


def test_what_others_hold_is_never_written_to() -> None:
    weights, x = net(1, 1), random(1, 7, 3)
    past = tuple(part.detach().clone() for part in weights)
    then = [part.clone() for part in past]
    gradients(x, weights, Gathered(past, ours=False), 1)

    assert all(torch.equal(now, before) for now, before in zip(past, then, strict=True))


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("reads", [1, 2])
def test_products_that_are_left_apart_move_a_matrix_as_the_gradient_does(
    reads: int, ours: bool
) -> None:
    weights, x = net(1, 1), random(1, 7, 3)
    wanted = gradients(x, weights, None, reads)
    kept = Gathered((None,) * len(weights), ours=ours, apart=True)
    found = gradients(x, weights, kept, reads)
    assert found[1:3] == (None, None)
    torch.testing.assert_close((found[0], *found[3:]), (wanted[0], *wanted[3:]))
    assert [bool(products) for products in kept.products] == [True, True, False, False]

    for weight, slope, products in zip(weights, wanted[1:3], kept.products, strict=False):
        before = weight.detach().clone()
        torch.testing.assert_close(products.square(), slope.square().sum())
        moved = products.added_to(weight, -0.3)
        torch.testing.assert_close(moved, before - 0.3 * slope)
        assert (moved.data_ptr() == weight.data_ptr()) == ours
        assert torch.equal(weight, before) != ours


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh"])
def test_every_activation_has_the_gradient_that_it_has_without_a_past(
    activation: str, gated: bool
) -> None:
    weights, x = net(1, 1, gated=gated), random(1, 7, 3)
    blank = Gathered((None,) * len(weights), ours=True)
    wanted = gradients(x, weights, None, 1, activation=activation, gated=gated)
    found = gradients(x, weights, blank, 1, activation=activation, gated=gated)

    torch.testing.assert_close(found, wanted)
