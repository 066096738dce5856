"""Softmax attention with a cache against a loop over queries."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import attend


def draw(time: int, width: int = 4):
    return torch.randn(2, 3, time, width, dtype=torch.float64, requires_grad=True)


def naive(q, keys, values, past, before):
    answers = []
    for t in range(q.shape[2]):
        seen = past + t + (0 if before else 1)
        if seen == 0:
            answers.append(torch.zeros_like(values[:, :, 0]))
            continue
        scores = (keys[:, :, :seen] @ q[:, :, t, :, None])[..., 0] / q.shape[-1] ** 0.5
        answers.append((scores.softmax(-1).unsqueeze(-1) * values[:, :, :seen]).sum(-2))
    return torch.stack(answers, 2)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("past", [0, 1, 2, 5])
@pytest.mark.parametrize("time", [1, 2, 6])
def test_a_query_sees_the_past_and_its_own_piece_so_far(before, past, time):
    q, k, v, past_k, past_v = draw(time), draw(time), draw(time, 5), draw(past), draw(past, 5)
    y, keys, values = attend(q, k, v, past_k, past_v, before)
    assert torch.equal(keys, torch.cat((past_k, k), 2))
    assert torch.equal(values, torch.cat((past_v, v), 2))
    torch.testing.assert_close(y, naive(q, keys, values, past, before))


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_the_cache_continues_the_sequence(before, cut):
    q, k, v = draw(7), draw(7), draw(7, 5)
    whole, *_ = attend(q, k, v, draw(0), draw(0, 5), before)
    early, *cache = attend(q[:, :, :cut], k[:, :, :cut], v[:, :, :cut], draw(0), draw(0, 5), before)
    late, *_ = attend(q[:, :, cut:], k[:, :, cut:], v[:, :, cut:], *cache, before)
    torch.testing.assert_close(torch.cat((early, late), 2), whole)


@pytest.mark.parametrize("before", [False, True])
def test_learning_flows_through_queries_and_cache(before):
    inputs = draw(3), draw(3), draw(3, 5), draw(2), draw(2, 5)
    assert torch.autograd.gradcheck(lambda *a: attend(*a, before), inputs)
