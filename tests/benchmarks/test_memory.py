"""Peak memory of a step."""

from __future__ import annotations

import torch

from benchmarks.memory import peak_bytes
from benchmarks.steps import Step


def test_the_peak_counts_activations_and_gradients_but_not_what_lived_before() -> None:
    n = 500
    x = torch.randn(n, n).requires_grad_()
    step = Step(lambda: x.exp().sin(), [x])
    matrix = 4 * n * n
    # exp's answer is kept for both backwards, sin's is alive beside it, then two gradients are.
    assert 3 * matrix <= peak_bytes(step) <= 4 * matrix


def test_the_peak_is_the_same_again_though_gradients_are_left_from_before() -> None:
    x = torch.randn(300, 200).requires_grad_()
    step = Step(lambda: (x @ x.mT).relu(), [x])
    first = peak_bytes(step)
    assert x.grad is not None
    assert peak_bytes(step) == first


def test_what_a_step_frees_at_once_counts_only_while_it_lives() -> None:
    x = torch.randn(400, 400)

    def forward() -> torch.Tensor:
        with torch.no_grad():
            for _ in range(10):
                x.exp()
        return leaf * 1

    leaf = torch.randn(1).requires_grad_()
    matrix = 4 * x.numel()
    assert matrix <= peak_bytes(Step(forward, [leaf])) < 2 * matrix
