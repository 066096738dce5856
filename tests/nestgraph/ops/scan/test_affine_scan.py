"""The recurrence over chunks against a loop."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops.scan.affine_scan import affine_scan


@pytest.mark.parametrize("axes", [(), (3,), (3, 3)])
@pytest.mark.parametrize("chunks", [1, 4])
def test_states_follow_the_recurrence(axes, chunks):
    shape = (2, chunks, *axes)
    first = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    factors = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    additions = torch.randn(2, chunks, 2, 3, dtype=torch.float64, requires_grad=True)
    states, last = affine_scan(first, factors, additions)
    now = first
    for n in range(chunks):
        torch.testing.assert_close(states[:, n], now)
        now = now @ factors[:, n] if len(axes) == 2 else now * factors[:, n].view(2, 1, -1)
        now = now + additions[:, n]
    torch.testing.assert_close(last, now)
    assert torch.autograd.gradcheck(affine_scan, (first, factors, additions))
