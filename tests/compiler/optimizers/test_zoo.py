"""Every optimizer of the zoo: compiled and interpreted, they make the same steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from problems import SHAPES, Problem, short

from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.language import zoo
from nestgraph.language.spec import load

OPTIMIZERS = zoo.optimizers()
DRAFTS = [
    path
    for path in sorted((Path(__file__).parents[2] / "nestgraph" / "drafts").glob("*.yaml"))
    if load(path).system.optimizer
]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_optimizer_makes_the_steps_of_the_interpreter(name: str):
    problem = Problem(short(name))

    for _ in range(12):
        problem.step(problem.gradients(), problem.fed())

    # Rounding alone: a step of Newton-Schulz stretches it by 3.4 at most, and five are taken.
    assert all(error < 1e-11 for _, error in problem.errors())


@pytest.mark.parametrize("path", DRAFTS, ids=lambda path: path.stem)
def test_the_drafts_of_the_language_run_too(path: Path):
    # Its group takes hidden matrices, so all of them must be linear maps.
    fitting = {k: s for k, s in SHAPES.items() if k not in ("kernel", "states")}
    problem = Problem(load(path), shapes=fitting if path.stem == "dgd" else SHAPES)

    for _ in range(4):
        problem.step(problem.gradients(), problem.fed())

    # Their Newton-Schulz runs in float32.
    assert all(error < 1e-5 for _, error in problem.errors())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_parameter_after_the_other_is_the_same_as_all_at_once(name: str):
    together, alone = Problem(short(name)), Problem(short(name), options={"foreach": False})
    for key, parameter in alone.parameters.items():
        parameter.data.copy_(together.parameters[key].data)

    for _ in range(7):
        gradients, fed = together.gradients(), together.fed()
        together.step(gradients, fed)
        alone.step(gradients, fed)

    for key, parameter in alone.parameters.items():
        torch.testing.assert_close(parameter, together.parameters[key], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_climbing_is_descending_along_the_negative_gradient(name: str):
    problem = Problem(short(name), maximize=True)

    for _ in range(5):
        problem.step(problem.gradients(), problem.fed())

    assert all(error < 1e-11 for _, error in problem.errors())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_without_a_gradient_stands_still_and_so_do_its_clocks(name: str):
    problem = Problem(short(name))

    for step in range(8):
        gradients, fed = problem.gradients(), problem.fed()
        if step % 3 == 1:
            problem.parameters["a"].grad = None
            problem.parameters["bias"].grad = None
            del gradients["a"], gradients["bias"], fed["a"]
        problem.step(gradients, fed)

    assert all(error < 1e-11 for _, error in problem.errors())


# Printed forms that their authors give for inputs of norm 1, or whose steps shrink for ever.
UNBOUNDED = ("dgd-paper", "dgd-neurips")


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in UNBOUNDED])
def test_a_default_neither_diverges_nor_stands_still(name: str):
    torch.manual_seed(0)
    spec = load(name)
    target = torch.randn(6, 8)
    rows = torch.randn(64, 8)
    layer = torch.nn.Linear(8, 6)
    optimizer = compile_optimizer(spec.system).for_module(layer, lr=1e-2)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = (layer(rows) - rows @ target.mT).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < 0.999 * losses[0]
    assert max(losses) < 2 * losses[0]
