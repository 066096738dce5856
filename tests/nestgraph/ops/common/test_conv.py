"""The causal convolution against its sum, whole and in pieces."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops import causal_conv, l2_norm
from nestgraph.ops.common import conv


@pytest.mark.parametrize("taps", [1, 2, 4])
def test_each_channel_mixes_its_last_inputs(taps):
    x = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, taps, dtype=torch.float64, requires_grad=True)
    tail = torch.randn(2, taps - 1, 3, dtype=torch.float64, requires_grad=True)
    y, left = causal_conv(x, weight, tail)
    past = torch.cat((tail, x), 1)
    for t in range(6):
        want = sum(weight[:, j] * past[:, t + j] for j in range(taps))
        torch.testing.assert_close(y[:, t], want)
    assert torch.equal(left, past[:, 6:])
    assert torch.autograd.gradcheck(causal_conv, (x, weight, tail))


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_the_tail_continues_the_sequence(cut):
    x, weight = torch.randn(2, 6, 3, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    start = torch.zeros(2, 3, 3, dtype=torch.float64)
    whole, last = causal_conv(x, weight, start)
    early, tail = causal_conv(x[:, :cut], weight, start)
    late, end = causal_conv(x[:, cut:], weight, tail)
    torch.testing.assert_close(torch.cat((early, late), 1), whole)
    assert torch.equal(end, last)


@pytest.mark.parametrize("taps", [1, 2, 4])
@pytest.mark.parametrize(("silu", "unit"), [(True, 0), (True, 2), (False, 2), (False, 0)])
def test_what_follows_in_blocks_is_what_follows_step_by_step(monkeypatch, taps, silu, unit):
    """Any size of block, inputs that are a run of a wider flow, gradients and theirs in turn."""
    wide = torch.randn(2, 11, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, taps, dtype=torch.float64, requires_grad=True)
    tail = torch.randn(2, taps - 1, 4, dtype=torch.float64, requires_grad=True)

    def fused(wide: Tensor, weight: Tensor, tail: Tensor) -> tuple[Tensor, ...]:
        return causal_conv(wide[..., 3:7], weight, tail, silu=silu, unit=unit)

    def stepwise(wide: Tensor, weight: Tensor, tail: Tensor) -> tuple[Tensor, ...]:
        y, left = causal_conv(wide[..., 3:7], weight, tail)
        y = F.silu(y) if silu else y
        return (l2_norm(y, unit) if unit else y), left

    inputs = (wide, weight, tail)
    for positions in (1, 3, 5, 100):
        monkeypatch.setattr(conv, "BLOCK", positions * 8)
        for one, other in zip(fused(*inputs), stepwise(*inputs), strict=True):
            torch.testing.assert_close(one, other)
        assert torch.autograd.gradcheck(fused, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(fused, inputs, fast_mode=True)


def test_a_sequence_shorter_than_the_taps_keeps_the_older_tail():
    x, tail = torch.randn(1, 1, 2), torch.randn(1, 3, 2)
    _, left = causal_conv(x, torch.randn(2, 4), tail)
    assert torch.equal(left, torch.cat((tail[:, 1:], x), 1))
