"""Inverses of unit lower triangular matrices."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops.common.triangular import by_doubling, by_substitution, unit_lower_inverse


@pytest.mark.parametrize("size", [1, 2, 3, 8, 13, 32])
@pytest.mark.parametrize("way", [by_doubling, by_substitution])
def test_both_ways_invert(size, way):
    strict = torch.randn(4, size, size, dtype=torch.float64).tril(-1) * 0.5
    eye = torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(way(strict) @ (eye + strict), eye.expand(4, size, size))


def test_learning_flows_through_the_inverse():
    strict = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: unit_lower_inverse(x.tril(-1)), (strict,))
