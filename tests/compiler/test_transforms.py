"""Transforms of torch.func and forward-mode derivatives are refused; plain gradients are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import nestgraph as ng
from nestgraph.errors import InputError

# PyTorch's own, where it looks for forward-mode derivatives.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

Weights = dict[str, Tensor]
NORMLESS = """\
nestgraph: 1
name: normless
levels: {window: 4 tokens}
blocks:
  b:
    memories:
      M: {net: linear, level: window, objective: task, rule: {rate: 0.1}}
    nodes:
      h: {read: M, query: x}
      out: {op: sum, in: [x, h]}
model: {embed: {vocab: 256, width: 8}, stack: [{block: b}], norm: none, head: {tie: true}}
"""


def scores(module: Any) -> Callable[[Weights], Tensor]:
    tokens = torch.randint(256, (2, 9))
    return lambda weights: torch.func.functional_call(module, weights, (tokens,)).logits.sum()


def forwards(run: Callable[[Weights], Tensor], weights: Weights) -> None:
    with forward_ad.dual_level():
        run({n: forward_ad.make_dual(w, torch.ones_like(w)) for n, w in weights.items()})


TRANSFORMS: list[Callable[[Callable[[Weights], Tensor], Weights], Any]] = [
    lambda run, weights: torch.func.grad(run)(weights),
    lambda run, weights: torch.func.vjp(run, weights),
    lambda run, weights: torch.func.jvp(run, (weights,), (weights,)),
    lambda run, weights: torch.func.vmap(run)({n: w[None] for n, w in weights.items()}),
    forwards,
]


@pytest.mark.parametrize("name", ["deltanet-tiny", "transformer-tiny", "cms-chain-tiny"])
@pytest.mark.parametrize("transform", TRANSFORMS, ids=["grad", "vjp", "jvp", "vmap", "forward"])
def test_a_transform_of_a_model_is_refused_with_what_to_do(name: str, transform: Any) -> None:
    module = ng.compile(ng.load(name))
    weights = {name: p.detach() for name, p in module.named_parameters()}

    with pytest.raises(InputError, match=r"NG734 .*torch\.func"):
        transform(scores(module), weights)


def test_a_memory_that_learns_is_never_inside_a_transform(tmp_path: Any) -> None:
    file = tmp_path / "normless.yaml"
    file.write_text(NORMLESS)
    module = ng.compile(ng.load(file))

    with pytest.raises(InputError, match="NG734"):
        torch.func.grad(scores(module))(dict(module.named_parameters()))


def test_parameters_of_a_call_have_their_plain_gradients() -> None:
    module = ng.compile(ng.load("deltanet-tiny", set={"vars.depth": 1}))
    run, given = scores(module), dict(module.named_parameters())
    others = {n: p.detach().clone().requires_grad_() for n, p in given.items()}

    ours = torch.autograd.grad(run(others), list(others.values()))
    theirs = torch.autograd.grad(run(given), list(given.values()))

    for name, one, other in zip(given, ours, theirs, strict=True):
        assert torch.equal(one, other), name
