"""The causal convolution against its sum, whole and in pieces."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import causal_conv


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
