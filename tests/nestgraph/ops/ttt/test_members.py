"""The small steps around a stack, and nets that don't learn in context."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import (
    MemoryConfig,
    coefficient,
    constant,
    first_state,
    implicit_rate,
    members,
    merge_members,
    split_heads,
    static_net,
)
from nestgraph.ops.common.activations import ACTIVATIONS


def test_a_flow_of_width_one_is_a_rate_for_every_head():
    flow = torch.randn(2, 5, 1)
    rate = coefficient(flow, 3)
    assert rate.shape == (2, 3, 5)
    assert torch.equal(rate[:, 2], flow[..., 0])


def test_numbers_by_head_are_rates_of_every_event():
    rate = constant(torch.tensor([1.0, 2.0]), torch.zeros(3, 2, 4, 7))
    assert rate.shape == (3, 2, 4)
    assert rate[1, :, 3].tolist() == [1.0, 2.0]


def test_an_implicit_rate_shrinks_with_the_key():
    rate = implicit_rate(torch.tensor([[[0.5]]]), torch.tensor([[[[2.0, 1.0]]]]))
    torch.testing.assert_close(rate, torch.tensor([[[0.5 / 3.5]]]))


def test_members_are_cut_and_their_answers_merged_in_order():
    weights = (torch.arange(3.0).view(1, 1, 3, 1, 1).expand(2, 1, 3, 2, 2),)
    assert members(weights, 1, 3)[0][0, 0, :, 0, 0].tolist() == [1.0, 2.0]
    answers = torch.randn(2, 4, 3, 5, 6)  # (B, H, M, T, E)
    flow = merge_members(answers)
    for member in range(3):
        run = flow[..., member * 24 : (member + 1) * 24]
        assert torch.equal(split_heads(run, 4), answers[:, :, member])


@pytest.mark.parametrize("extras", [True, False])
def test_the_first_state_is_the_parameters_for_every_row(extras):
    weights = (torch.randn(2, 3, 5, 4), torch.randn(2, 3, 4, 5))
    config = MemoryConfig(layers=2, momentum=extras, reduces=extras, window=3 if extras else 1)
    state = first_state(config, weights, 7, kept=0 if extras else None)
    assert [w.shape for w in state.running] == [(7, 2, 3, 5, 4), (7, 2, 3, 4, 5)]
    assert state.running is state.anchor
    assert torch.equal(state.running[0][6], weights[0])
    assert len(state.momentum) == (2 if extras else 0)
    for part in (state.kept, state.share, state.window):
        assert (part is not None) == extras


@pytest.mark.parametrize("heads", [1, 2])
def test_a_gated_static_net_multiplies_half_of_a_layer_with_the_other_half_activated(heads):
    x = torch.randn(2, 3, 4 * heads, dtype=torch.float64)
    weights = tuple(torch.randn(heads, *s, dtype=torch.float64) for s in ((10, 4), (4, 5)))
    y = static_net(x, weights, "silu", residual=False, gated=True)
    for head in range(heads):
        run, first = x[..., 4 * head : 4 * head + 4], weights[0][head]
        inner = torch.nn.functional.silu(run @ first[:5].mT) * (run @ first[5:].mT)
        torch.testing.assert_close(y[..., 4 * head : 4 * head + 4], inner @ weights[1][head].mT)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("residual", [False, True])
def test_a_static_net_asks_each_head_by_itself(heads, residual):
    x = torch.randn(2, 3, 4 * heads, dtype=torch.float64)
    weights = tuple(torch.randn(heads, *s, dtype=torch.float64) for s in ((5, 4), (4, 5)))
    y = static_net(x, weights, "tanh", residual=residual)
    for head in range(heads):
        run = x[..., 4 * head : 4 * head + 4]
        want = ACTIVATIONS["tanh"].value(run @ weights[0][head].mT) @ weights[1][head].mT
        want = want + run if residual else want
        torch.testing.assert_close(y[..., 4 * head : 4 * head + 4], want)
