"""Values, slopes and bends by hand against autograd."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops.common.activations import ACTIVATIONS


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_slope_and_bend_are_the_first_two_derivatives(name):
    activation = ACTIVATIONS[name]
    z = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    g = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    h = activation.value(z)
    (slope,) = torch.autograd.grad(h.sum(), z, create_graph=True)
    bend = torch.zeros_like(z)
    if slope.requires_grad:  # relu's is constant
        (bend,) = torch.autograd.grad(slope.sum(), z, retain_graph=True)
    with torch.no_grad():
        value, *ours = activation.bent(z, 2)
        torch.testing.assert_close(activation.times_slope(g, z, h), g * slope)
    torch.testing.assert_close(value, h.detach())
    torch.testing.assert_close(ours[0], slope.detach())
    torch.testing.assert_close(ours[1], bend.detach()[:2])
    assert torch.autograd.gradcheck(lambda g, z: activation.back(g, z, activation.value(z)), (g, z))
