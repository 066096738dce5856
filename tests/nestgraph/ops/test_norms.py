"""Norms by heads against their formulas written out run by run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestgraph.ops import l2_norm, layer_norm, rms_norm, softmax

HEADS = [1, 2, 3]


def flow(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def by_head(x: Tensor, heads: int, function) -> Tensor:
    return torch.cat([function(run) for run in x.chunk(heads, -1)], -1)


@pytest.mark.parametrize("heads", HEADS)
def test_rms_norm_divides_each_run_by_its_root_mean_square(heads):
    x, gain = flow(2, 5, 12), flow(12)
    want = by_head(x, heads, lambda r: r / (r.square().mean(-1, keepdim=True) + 1e-6).sqrt()) * gain
    torch.testing.assert_close(rms_norm(x, gain, heads), want)
    assert torch.autograd.gradcheck(lambda *a: rms_norm(*a, heads), (x, gain))


@pytest.mark.parametrize("heads", HEADS)
def test_layer_norm_centres_each_run_too(heads):
    x, gain, shift = flow(2, 5, 12), flow(12), flow(12)

    def norm(run: Tensor) -> Tensor:
        centred = run - run.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    want = by_head(x, heads, norm) * gain + shift
    torch.testing.assert_close(layer_norm(x, gain, shift, heads), want)
    assert torch.autograd.gradcheck(lambda *a: layer_norm(*a, heads), (x, gain, shift))


@pytest.mark.parametrize("heads", HEADS)
def test_l2_norm_makes_each_run_a_unit_vector(heads):
    x = flow(2, 5, 12)
    want = by_head(x, heads, lambda r: r / (r.square().sum(-1, keepdim=True) + 1e-6).sqrt())
    torch.testing.assert_close(l2_norm(x, heads), want)
    assert torch.autograd.gradcheck(lambda a: l2_norm(a, heads), (x,))


def test_l2_norm_of_nothing_is_nothing_and_has_a_gradient():
    x = torch.zeros(1, 1, 4, dtype=torch.float64, requires_grad=True)
    y = l2_norm(x, 2)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y, torch.zeros_like(y))
    torch.testing.assert_close(gradient, torch.full_like(x, 1e3))


@pytest.mark.parametrize("heads", HEADS)
def test_softmax_sums_to_one_in_each_run(heads):
    x = flow(2, 5, 12)
    want = by_head(x, heads, lambda r: r.exp() / r.exp().sum(-1, keepdim=True))
    torch.testing.assert_close(softmax(x, heads), want)


@pytest.mark.parametrize("norm", [l2_norm, softmax])
def test_a_part_of_a_wider_flow_is_as_good_as_a_copy_of_it(norm):
    wide = flow(2, 5, 24)
    torch.testing.assert_close(norm(wide[..., 6:18], 3), norm(wide[..., 6:18].clone(), 3))
