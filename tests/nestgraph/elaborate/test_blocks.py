"""Blocks: a model is made of them, and an optimizer may leave everything to others."""

from __future__ import annotations

import pytest
import torch
from building import FILE, spec_of

from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.errors import SpecError
from nestgraph.language.spec import load
from nestgraph.reference.optimizer import OptimizerReference

DELEGATES = """
nestgraph: 1
name: both
%s
optimizer:
  - {for: vectors, spec: sgd, lr: 0.5}
  - {for: rest, spec: muon, with: {precision: float64}}
"""
MODEL = """
nestgraph: 1
name: m
%s
model: {embed: {vocab: 5, width: 4}, stack: [{block: b}]}
"""


@pytest.mark.parametrize("blocks", ["", "blocks: {}", "blocks:"])
def test_an_optimizer_that_only_names_others_makes_their_steps(blocks: str):
    system = spec_of(DELEGATES % blocks).system
    first = {"w": torch.randn(3, 4, dtype=torch.float64), "b": torch.randn(4, dtype=torch.float64)}
    parameters = {name: x.clone().requires_grad_() for name, x in first.items()}
    optimizer = compile_optimizer(system)(list(parameters.items()), lr=0.1)
    reference = OptimizerReference(system, first)

    for _ in range(3):
        gradients = {name: torch.randn_like(x) for name, x in first.items()}
        for name, x in parameters.items():
            x.grad = gradients[name].clone()
        optimizer.step()
        reference.step(gradients, lr=0.1)

    for name, wanted in reference.parameters.items():
        torch.testing.assert_close(parameters[name].detach(), wanted)


def test_an_optimizer_written_into_a_model_may_only_name_others_too():
    inline = {"optimizer": [{"for": "vectors", "spec": "sgd"}, {"for": "rest", "spec": "muon"}]}

    spec = load("transformer-tiny", set={"training.optimizer": inline})

    assert spec.system.training.system is not None


def test_a_block_that_an_optimizer_without_blocks_names_is_unknown():
    text = DELEGATES % "" + "  - {for: all, block: own}\n"

    with pytest.raises(SpecError, match="NG205 no block is called `own`"):
        spec_of(text)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ("", f"{FILE}:1:1: NG106 the spec needs `blocks`; a model is made of blocks"),
        ("blocks: {}", f"{FILE}:4:1: NG106 `blocks` is empty; a model is made of blocks"),
        ("blocks:", f"{FILE}:4:1: NG106 `blocks` is empty; a model is made of blocks"),
    ],
)
def test_a_model_without_blocks_is_told_that_it_is_made_of_them(blocks: str, said: str):
    with pytest.raises(SpecError) as caught:
        spec_of(MODEL % blocks)

    assert str(caught.value.diagnostics[0]).startswith(said)
