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


def _third(y: Tensor, x: Tensor, pulls: list[Tensor]) -> Tensor:
    """Return a derivative of a derivative of a derivative, each of a sine so that none is
    constant.
    """
    for pull in pulls:
        (y,) = torch.autograd.grad((y * pull).sin().sum(), x, create_graph=True)
    return y


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm", "l2_norm", "softmax"])
def test_three_nested_levels_differentiate_a_norm_three_times(kind, heads):
    def norm(run: Tensor) -> Tensor:
        if kind == "softmax":
            return run.exp() / run.exp().sum(-1, keepdim=True)
        run = run - run.mean(-1, keepdim=True) if kind == "layer_norm" else run
        square = run.square()
        size = square.sum(-1, True) if kind == "l2_norm" else square.mean(-1, True)
        return run / (size + 1e-6).sqrt()

    x, gain, shift = flow(2, 5, 12), flow(12), flow(12)
    ours = {
        "layer_norm": lambda: layer_norm(x, gain, shift, heads),
        "rms_norm": lambda: rms_norm(x, gain, heads),
        "l2_norm": lambda: l2_norm(x, heads),
        "softmax": lambda: softmax(x, heads),
    }
    want = by_head(x, heads, norm)
    want = want * gain if kind in ("layer_norm", "rms_norm") else want
    want = want + shift if kind == "layer_norm" else want
    pulls = [flow(2, 5, 12).detach() for _ in range(3)]
    torch.testing.assert_close(_third(ours[kind](), x, pulls), _third(want, x, pulls))
