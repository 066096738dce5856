"""Every shipped optimizer trains shipped models whose parameters differ in kind and in shape."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from nestgraph.language import zoo
from nestgraph.language.groups import traits_of
from nestgraph.language.spec import Spec, load
from nestgraph.reference.optimizer import OptimizerReference
from nestgraph.training import compile
from nestgraph.training.optimizer import build_optimizer

SMALL: dict[str, dict[str, Any]] = {
    # Matrices of one height and several widths.
    "transformer-tiny": {"width": 16, "heads": 2, "depth": 1, "hidden": 24},
    # States of memories, each a stack of matrices, on clocks of their own.
    "hope-tiny": {"width": 16, "heads": 2, "depth": 1, "chunk": 4},
    # Kernels of three axes, decays and gains.
    "mamba-2-tiny": {"width": 16, "heads": 2, "depth": 1, "states": 6},
}
FAST = {"period": 2, "precision": "float64"}  # slow clocks tick, and no rounding is stretched


STEPS = 3  # the first layer behind a last one that starts at 0 moves from the second on


def small(model: str, optimizer: str) -> Spec:
    """Return a shipped model of a few hundred numbers under a shipped optimizer."""
    path = zoo.path(optimizer)
    assert path is not None
    text = path.read_text(encoding="utf-8")
    tuned = {key: value for key, value in FAST.items() if f"{key}: " in text}
    return load(
        model,
        set={
            **{f"vars.{key}": value for key, value in SMALL[model].items()},
            "training.optimizer": {"extends": optimizer, "vars": tuned} if tuned else optimizer,
        },
    )


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("name", zoo.optimizers())
def test_a_shipped_optimizer_trains_a_model_as_the_interpreter_does(name: str, model: str):
    torch.manual_seed(0)
    module = compile(small(model, name)).double()
    optimizer = build_optimizer(module._parameters_with_specs(), module.spec.system.training)
    if optimizer.needs_inputs:
        optimizer.watch(module.model)
    table = [(own, x) for own, x in module._parameters_with_specs() if x.requires_grad]
    first = {own.name: x.detach().clone() for own, x in table}
    traits = {own.name: traits_of(own) for own, _ in table}
    reference = OptimizerReference(optimizer.system, first, traits=traits)

    for _ in range(STEPS):
        optimizer.zero_grad()
        tokens = torch.randint(0, 256, (2, 8))
        cast(Any, module.model).loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
        given = {own.name: x.grad for own, x in table if x.grad is not None}
        optimizer.step()
        if not optimizer.needs_inputs:
            rate = module.spec.system.training.lr
            reference.step({key: x.clone() for key, x in given.items()}, lr=rate)

    for own, x in table:
        assert x.isfinite().all()
        if own.period == 1 and x.grad is not None and x.grad.any():
            assert not torch.equal(x, first[own.name]), own.name
        if own.period == 1 and not optimizer.needs_inputs:
            wanted = reference.parameters[own.name]
            torch.testing.assert_close(x.detach(), wanted, rtol=1e-6, atol=1e-8)
