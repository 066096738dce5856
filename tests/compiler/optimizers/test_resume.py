"""Slow clocks inside an optimizer go on from a file to the last bit."""

from __future__ import annotations

import pytest
import torch
from problems import Problem, give, short

STEPS = 14


@pytest.mark.parametrize("stop", range(1, 10))
@pytest.mark.parametrize("name", ["m3", "m3-ema", "cms-momentum"])
def test_a_state_saved_in_the_middle_of_a_slow_clock_goes_on_to_the_last_bit(name: str, stop: int):
    problem = Problem(short(name))
    history = [problem.gradients() for _ in range(STEPS)]
    for grads in history[:stop]:
        give(problem.optimizer, problem.parameters, grads, {})
        problem.optimizer.step()
    later, resumed = problem.resumed()

    for grads in history[stop:]:
        for optimizer, parameters in ((problem.optimizer, problem.parameters), (resumed, later)):
            give(optimizer, parameters, grads, {})
            optimizer.step()

    assert all(torch.equal(later[key], problem.parameters[key]) for key in later)
