"""Regrouping of channels by head."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import (
    decay,
    mean,
    merge_heads,
    repeat_channels,
    slice_heads,
    split_heads,
    tile,
    total,
)


@pytest.fixture
def flow():
    return torch.arange(12, dtype=torch.float64).view(1, 2, 6)


def test_heads_are_runs_of_channels_and_merge_back(flow):
    split = split_heads(flow, 2)
    assert split.shape == (1, 2, 2, 3)
    assert split[0, 1, 0].tolist() == [3, 4, 5]
    assert torch.equal(merge_heads(split), flow)


def test_mean_and_total_reduce_each_run(flow):
    assert mean(flow, 2)[0].tolist() == [[1, 4], [7, 10]]
    assert total(flow, 2)[0].tolist() == [[3, 12], [21, 30]]


def test_tile_copies_the_vector_and_repeat_copies_channels(flow):
    assert tile(flow, 2)[0, 0].tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert repeat_channels(flow, 2)[0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_repeat_may_count_by_channel_of_each_head(flow):
    assert repeat_channels(flow, [1, 0, 2], 2)[0, 0].tolist() == [0, 2, 2, 3, 5, 5]


def test_slice_takes_a_run_of_each_head(flow):
    assert slice_heads(flow, 2, 1, 2)[0, 1].tolist() == [7, 8, 10, 11]


def test_decay_has_a_rate_a_channel_or_several():
    x = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    a = torch.randn(8, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(decay(x, a[:4]), torch.exp(-torch.exp(a[:4]) * x))
    wide = decay(x, a, states=2)
    for i in range(4):
        for j in range(2):
            want = torch.exp(-torch.exp(a[2 * i + j]) * x[..., i])
            torch.testing.assert_close(wide[..., 2 * i + j], want)
    assert torch.autograd.gradcheck(lambda *args: decay(*args, states=2), (x, a))
