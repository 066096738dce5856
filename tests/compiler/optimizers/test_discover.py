"""What the layers of any module say about its parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import nestgraph as ng
from nestgraph.compiler.optimizers import NestedOptimizer, compile_optimizer
from nestgraph.compiler.optimizers.discover import discover
from nestgraph.errors import InputError
from nestgraph.training import NestModule


class Shared(nn.Module):
    """An embedding that is the head too, two layers with one weight, a map, a kernel, a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.one, self.two = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.two.weight = self.one.weight
        self.map = nn.Linear(4, 3)
        self.kernel = nn.Conv1d(4, 4, 2, bias=False)
        self.norm = nn.LayerNorm(4)
        self.lm_head = nn.Linear(4, 5, bias=False)
        self.lm_head.weight = self.embed.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def test_only_the_weight_of_one_layer_is_a_linear_map() -> None:
    known = {
        name: (group["kind"], group["linear_map"])
        for group in discover(Shared())
        for name, _ in group["params"]
    }

    assert known == {
        "embed.weight": ("embeddings", False),
        "one.weight": (None, False),
        "map.weight": (None, True),
        "map.bias": (None, False),
        "kernel.weight": (None, False),
        "norm.weight": (None, False),
        "norm.bias": (None, False),
    }


def test_a_head_of_its_own_is_a_linear_map() -> None:
    model = nn.ModuleDict(
        {"body": nn.Linear(4, 4, bias=False), "head": nn.Linear(4, 5, bias=False)}
    )
    known = {group["params"][0][0]: group for group in discover(model)}

    assert known["head.weight"]["kind"] == "head"
    assert known["head.weight"]["linear_map"]
    assert known["body.weight"]["kind"] is None


def test_a_bag_of_embeddings_is_one() -> None:
    known = {group["params"][0][0]: group for group in discover(nn.EmbeddingBag(5, 4))}

    assert known["weight"]["kind"] == "embeddings"


def clocked(optimizer: str) -> NestModule:
    """Return a model with a memory on slow steps, a norm, biases and a tied head."""
    return ng.compile(ng.load("hope-tiny", set={"training.optimizer": optimizer}))


def told(optimizer: Any) -> list[tuple[Any, ...]]:
    keys = ("rule", "period", "level", "names", "traits")
    return [tuple(str(group[key]) for key in keys) for group in optimizer.param_groups]


def trained_by(module: NestModule) -> NestedOptimizer:
    configured: Any = module.configure_optimizers()
    optimizer: NestedOptimizer = configured["optimizer"]
    return optimizer


@pytest.mark.parametrize("name", ["muon", "adamw", "dgd"])
def test_a_model_of_nestgraph_has_the_groups_and_clocks_of_its_training(name: str) -> None:
    module = clocked(name)
    optimizer = trained_by(module)
    kind = type(optimizer)

    for outer in (module, module.model, nn.ModuleDict({"net": module})):
        ours = kind.for_module(outer, seed=0)
        assert told(ours) == told(optimizer)
    assert len({group["period"] for group in optimizer.param_groups}) > 1


def test_layers_beside_a_model_are_told_apart_as_ever() -> None:
    module = clocked("muon")
    outer = nn.ModuleDict({"net": module, "head": nn.Linear(4, 3), "embed": nn.Embedding(3, 4)})

    known = {
        name: group["kind"]
        for group in discover(outer)
        for name, _ in group["params"]
        if name in ("head.weight", "embed.weight") and "level" not in group
    }

    assert known == {"head.weight": "head", "embed.weight": "embeddings"}
    count = sum(len(group["params"]) for group in discover(outer))
    assert count == len(list(outer.parameters()))


def test_what_a_model_is_fed_is_seen_once_whichever_way_it_runs() -> None:
    tokens = torch.randint(256, (2, 20))
    steps = []
    for run in (
        lambda m: m.model.loss(tokens[:, :-1], tokens[:, 1:])[0],
        lambda m: nn.functional.cross_entropy(
            m(tokens[:, :-1]).logits.flatten(0, 1), tokens[:, 1:].flatten()
        ),
    ):
        module = clocked("dgd")
        optimizer = compile_optimizer(ng.load("dgd").system).for_module(module, lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            run(module).backward()
            optimizer.step()
        steps.append(module.state_dict())

    for name, value in steps[0].items():
        torch.testing.assert_close(steps[1][name], value)


def test_a_parameter_that_something_else_stands_for_is_refused() -> None:
    module = clocked("adamw")
    embed = module.get_submodule("model.weights.embed")
    parametrize.register_parametrization(embed, "weight", nn.Identity())

    with pytest.raises(InputError, match=r"NG735 `embed\.weight` of the model is no parameter"):
        discover(module)


def test_what_was_fed_in_a_step_that_is_called_off_counts_nowhere() -> None:
    weights = [nn.Parameter(torch.randn(3, 4, dtype=torch.float64)) for _ in range(2)]
    twins = [nn.Parameter(weight.detach().clone()) for weight in weights]
    kind = compile_optimizer(ng.load("dgd").system)
    inputs = torch.randn(7, 5, 4, dtype=torch.float64)
    for parameters, steps in ((weights, range(7)), (twins, (0, 1, 3, 4, 6))):
        groups = [
            {"params": [parameter], "linear_map": True, "period": period}
            for parameter, period in zip(parameters, (1, 2), strict=True)
        ]
        optimizer = kind(groups, lr=0.1)
        optimizer.capture.wanted = {id(weight): weight for weight in parameters}
        for step in steps:
            for parameter in parameters:
                optimizer.capture.note(parameter, inputs[step])
                parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
            if step in (2, 5):
                optimizer.call_off()
            optimizer.step()

    for ours, theirs in zip(weights, twins, strict=True):
        assert torch.equal(ours, theirs)
