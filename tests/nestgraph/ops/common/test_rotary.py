"""Rotary positions: angles, relativity, restarts."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import rope


def test_pairs_of_channels_turn_by_their_angles():
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    y = rope(x, 3, heads=2, base=100.0)
    for t in range(5):
        for head in range(2):
            for i in range(3):
                a, b = 6 * head + i, 6 * head + i + 3
                angle = torch.tensor((3 + t) * 100.0 ** (-2 * i / 6), dtype=torch.float64)
                low = x[:, t, a] * angle.cos() - x[:, t, b] * angle.sin()
                high = x[:, t, b] * angle.cos() + x[:, t, a] * angle.sin()
                torch.testing.assert_close(y[:, t, a], low)
                torch.testing.assert_close(y[:, t, b], high)


def test_products_depend_only_on_the_distance():
    q, k = torch.randn(2, 1, 1, 8, dtype=torch.float64).expand(2, 1, 9, 8)
    near = rope(q, 0) @ rope(k, 0).mT
    far = rope(q, 1000) @ rope(k, 1000).mT
    torch.testing.assert_close(near, far)
    for distance in range(9):
        diagonal = near.diagonal(-distance, -2, -1)
        torch.testing.assert_close(diagonal, diagonal[..., :1].expand_as(diagonal))


@pytest.mark.parametrize("start", [0, 1, 5])
def test_positions_restart_after_each_period(start):
    x = torch.randn(1, 7, 4, dtype=torch.float64)
    y = rope(x, start, period=3)
    for t in range(7):
        torch.testing.assert_close(y[:, t : t + 1], rope(x[:, t : t + 1], (start + t) % 3))


def test_far_positions_stay_exact_in_float32():
    x = torch.randn(1, 2, 8)
    exact = rope(x.double(), 1_000_000)
    torch.testing.assert_close(rope(x, 1_000_000).double(), exact, atol=1e-5, rtol=0)


def test_learning_flows_through():
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: rope(a, 2, heads=2), (x,))


def test_gradients_are_exact_and_theirs_too():
    x = torch.randn(2, 3, 8, dtype=torch.float64, requires_grad=True)

    def turned(x: torch.Tensor) -> torch.Tensor:
        return rope(x, 5, heads=2, base=10.0)

    assert torch.autograd.gradcheck(turned, x)
    assert torch.autograd.gradgradcheck(turned, x)
