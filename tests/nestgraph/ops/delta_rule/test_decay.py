"""Products of retentions, through logarithms and exactly."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import ratios
from nestgraph.ops.fused.fused_backward import d_retain_of
from nestgraph.ops.fused.step_math import retentions


def naive(alpha):
    size = alpha.shape[-1]
    events = torch.zeros(*alpha.shape, size, dtype=alpha.dtype)
    for t in range(size):
        for i in range(t + 1):
            events[..., t, i] = alpha[..., i + 1 : t + 1].prod(-1)
    return events, alpha.cumprod(-1)


@pytest.mark.parametrize("signed", [False, True])
def test_ratios_are_products_between_two_positions(signed):
    alpha = torch.rand(2, 3, 6, dtype=torch.float64, requires_grad=True)
    for ours, theirs in zip(ratios(alpha, signed), naive(alpha), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda a: ratios(a, signed), (alpha,))


def test_signed_ratios_may_hold_zeros_and_negative_factors():
    alpha = torch.tensor([[0.5, 0.0, -0.7, 0.0, 0.9, -1.0]], dtype=torch.float64)
    alpha.requires_grad_()
    for ours, theirs in zip(ratios(alpha, True), naive(alpha), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda a: ratios(a, True), (alpha,))


def test_a_retention_that_rounds_to_zero_keeps_numbers_and_gradients_finite():
    alpha = torch.tensor([[0.9, 0.0, 0.9, 1e-42, 0.9]], requires_grad=True)
    events, whole = ratios(alpha)
    (gradient,) = torch.autograd.grad(events.sum() + whole.sum(), alpha)
    assert events.isfinite().all()
    assert gradient.isfinite().all()
    torch.testing.assert_close(events[0, 4], torch.tensor([0.0, 0, 0, 0.9, 1]))


@pytest.mark.parametrize("signed", [False, True])
def test_moments_hold_the_same_products_and_their_derivative(signed):
    alpha = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
    q = retentions(alpha.detach(), signed=signed)
    events, whole = naive(alpha)
    torch.testing.assert_close(q[:, 1:, 1:], events.detach())
    torch.testing.assert_close(q[:, 1:, 0], whole.detach())
    d_q = torch.randn_like(q).tril(-1)
    loss = (d_q[:, 1:, 1:] * events).sum() + (d_q[:, 1:, 0] * whole).sum()
    (want,) = torch.autograd.grad(loss, alpha)
    torch.testing.assert_close(d_retain_of(q, d_q), want)
    d_q[:, :-1] = 0
    torch.testing.assert_close(d_retain_of(q, d_q[:, -1:]), d_retain_of(q, d_q))
