"""A norm with its gate against the two of them, in blocks of any size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops import gated_norm, rms_norm
from nestgraph.ops.common import gates


@pytest.mark.parametrize("heads", [1, 2])
def test_a_gated_norm_in_blocks_is_the_norm_times_the_gate(monkeypatch, heads):
    """Any size of block, a gate that is a run of a wider flow, gradients and theirs in turn."""
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    gain = torch.randn(4, dtype=torch.float64, requires_grad=True)
    wide = torch.randn(2, 5, 9, dtype=torch.float64, requires_grad=True)

    def fused(x: Tensor, gain: Tensor, wide: Tensor) -> Tensor:
        return gated_norm(x, gain, wide[..., 3:7], heads)

    inputs = (x, gain, wide)
    for rows in (1, 3, 100):
        monkeypatch.setattr(gates, "BLOCK", rows * 4)
        want = rms_norm(x, gain, heads) * F.silu(wide[..., 3:7])
        torch.testing.assert_close(fused(*inputs), want)
        assert torch.autograd.gradcheck(fused, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(fused, inputs, fast_mode=True)


def test_what_wants_no_gradient_gets_none():
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    gain, gate = torch.ones(4, dtype=torch.float64), torch.randn(1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda x: gated_norm(x, gain, gate, 2), x)
