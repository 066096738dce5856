"""Random optimizers: compiled and interpreted, they make the same steps, also after a file."""

from __future__ import annotations

from typing import Any

import optimizer_strategies
import pytest
import strategies
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import Problem, give

from nestgraph.language.spec import Spec

STEPS = 9
FILE = "random.yaml"
FEW, MANY = 60, 1500


def problem_of(spec: dict[str, Any], **options: Any) -> Problem:
    """Return parameters of all kinds under a drawn optimizer, which must have no findings."""
    read = Spec.from_sources({FILE: strategies.as_yaml(spec)}, FILE, {})
    assert not read.warnings, read.warnings[0]
    return Problem(read, **options)


def check_steps(spec: dict[str, Any], seed: int, maximize: bool, foreach: bool) -> None:
    """Nine steps, in which a parameter may have no gradient."""
    torch.manual_seed(seed)
    problem = problem_of(spec, maximize=maximize, options={"foreach": foreach})

    for step in range(STEPS):
        gradients, fed = problem.gradients(), problem.fed()
        if step % 4 == 2:
            problem.parameters["a"].grad = problem.parameters["bias"].grad = None
            del gradients["a"], gradients["bias"], fed["a"]
        problem.step(gradients, fed)

    # Rounding, stretched by roots, Newton-Schulz and inverse powers.
    assert all(error < 1e-8 for _, error in problem.errors()), dict(problem.errors())


def check_resume(spec: dict[str, Any], seed: int, stop: int) -> None:
    """Assert that a state from a file goes on to the last bit, wherever the slow clocks stand."""
    torch.manual_seed(seed)
    problem = problem_of(spec)
    history = [(problem.gradients(), problem.fed()) for _ in range(STEPS)]
    for gradients, fed in history[:stop]:
        give(problem.optimizer, problem.parameters, gradients, fed)
        problem.optimizer.step()
    later, resumed = problem.resumed()

    for gradients, fed in history[stop:]:
        for optimizer, parameters in ((problem.optimizer, problem.parameters), (resumed, later)):
            give(optimizer, parameters, gradients, fed)
            optimizer.step()

    different = [key for key in later if not torch.equal(later[key], problem.parameters[key])]
    assert not different


seeds = strategies.seeds()


@settings(max_examples=FEW, derandomize=True)  # fresh ones: `-m slow`
@given(optimizer_strategies.optimizers(), seeds, st.booleans(), st.booleans())
def test_a_random_optimizer_makes_the_steps_of_the_interpreter(
    spec: dict[str, Any], seed: int, maximize: bool, foreach: bool
) -> None:
    check_steps(spec, seed, maximize, foreach)


@settings(max_examples=FEW, derandomize=True)  # fresh ones: `-m slow`
@given(optimizer_strategies.optimizers(), seeds, st.integers(1, STEPS - 1))
def test_a_random_optimizer_goes_on_from_a_file_to_the_last_bit(
    spec: dict[str, Any], seed: int, stop: int
) -> None:
    check_resume(spec, seed, stop)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(optimizer_strategies.optimizers(), seeds, st.booleans(), st.booleans())
def test_many_random_optimizers_make_the_steps_of_the_interpreter(
    spec: dict[str, Any], seed: int, maximize: bool, foreach: bool
) -> None:
    check_steps(spec, seed, maximize, foreach)
    check_resume(spec, seed, stop=1 + seed % (STEPS - 1))
