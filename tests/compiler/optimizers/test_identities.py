"""Optimizers against the formulas of the paper, written out here in float64.

Tolerances are those of rounding: a few dozen products of small matrices a step.
"""

from __future__ import annotations

import pytest
import torch
from building import SGD, spec_of
from problems import Problem, give, short
from torch import Tensor

STEPS = 8
LR = 1e-2


def alone(name: str, lr: float = LR, **settings: object) -> tuple[Problem, Tensor]:
    """Return one matrix (5, 3) under an optimizer of the zoo, and a copy of it."""
    problem = Problem(short(name, **settings), lr=lr, shapes={"a": (5, 3)})
    return problem, problem.parameters["a"].detach().clone()


def take(problem: Problem, grad: Tensor, rows: Tensor | None = None) -> Tensor:
    """Return the matrix after one step."""
    give(problem.optimizer, problem.parameters, {"a": grad}, {} if rows is None else {"a": rows})
    problem.optimizer.step()
    return problem.parameters["a"].detach().clone()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    """Return Muon's quintic, on the short side."""
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    x = x / x.norm()
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


def rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


@pytest.mark.parametrize("lr", [0.01, 0.7, 5.0])
@pytest.mark.parametrize("length", [0.3, 1.0, 2.5])
def test_delta_gradient_descent_is_its_closed_form_and_the_argmin(lr: float, length: float):
    problem, w = alone("dgd", lr=lr)
    for _ in range(STEPS):
        x, u = draw(3), draw(5)
        x = length * x / x.norm()

        after = take(problem, torch.outer(-u, x), x[None])

        rate = lr / (1 + lr * length**2)
        closed = w - rate * torch.outer(w @ x, x) + rate * torch.outer(u, x)
        torch.testing.assert_close(after, closed, rtol=1e-10, atol=1e-12)
        # Where 1/2 |W x - u|^2 + 1/(2 lr) |W - w|^2 is smallest, its gradient is nothing.
        slope = torch.outer(after @ x - u, x) + (after - w) / lr
        assert slope.abs().max() < 1e-9 * (1 + w.abs().max() / lr)
        w = after


def test_m3_without_slow_memory_and_variance_has_the_direction_of_muon():
    # With beta2 = 0 the root is eps, here 1; Newton-Schulz doesn't see beta1.
    problem, w = alone("m3", alpha=0, beta2=0, eps=1)
    momentum = torch.zeros_like(w)
    for _ in range(STEPS):
        grad = draw(5, 3)
        momentum = momentum + grad

        after = take(problem, grad)

        torch.testing.assert_close(w - after, LR * orthogonal(momentum), rtol=1e-9, atol=1e-12)
        w = after


def test_the_first_step_of_m3_without_the_two_is_muons_but_for_its_shape_factor():
    (m3, w), (muon, v) = alone("m3", alpha=0, beta2=0, eps=1), alone("muon", decay=0)
    grad = draw(5, 3)

    wanted = (5 / 3) ** 0.5 * (w - take(m3, grad))

    torch.testing.assert_close(v - take(muon, grad), wanted, rtol=1e-9, atol=1e-12)


def test_the_slow_memory_of_m3_answers_with_the_chunks_before():
    problem, w = alone("m3", alpha=0.5, beta2=0, eps=1)
    fast, slow, waiting = (torch.zeros_like(w) for _ in range(3))
    for step in range(1, STEPS + 1):
        grad = draw(5, 3)
        fast, waiting = fast + grad, waiting + grad
        late = orthogonal(slow) if slow.any() else slow

        after = take(problem, grad)

        wanted = LR * (orthogonal(fast) + 0.5 * late)
        torch.testing.assert_close(w - after, wanted, rtol=1e-8, atol=1e-11)
        w = after
        if step % 3 == 0:
            slow, waiting = slow + waiting, torch.zeros_like(w)


def test_delta_momentum_erases_before_it_stores():
    problem, w = alone("delta-momentum", decay=0)
    m = torch.zeros(5, 3, dtype=torch.float64)
    for _ in range(STEPS):
        grad = draw(5, 3)
        k = grad / grad.norm()
        m = m @ (0.9 * torch.eye(3, dtype=torch.float64) - 0.1 * k.mT @ k) + 0.1 * k

        after = take(problem, grad)

        torch.testing.assert_close(w - after, LR * 0.2 * m / rms(m), rtol=1e-9, atol=1e-12)
        w = after


@pytest.mark.parametrize(("rate", "bounded"), [(1.85, True), (1.95, False)])
def test_delta_momentum_is_stable_while_the_erased_share_is_at_most_1_plus_keep(
    rate: float, bounded: bool
):
    problem, _ = alone("delta-momentum", decay=0, rate=rate)
    # Of rank one, so that its whole norm lies along one key: |keep - rate| is 0.95 or 1.05.
    grad = torch.outer(draw(5), draw(3))
    sizes = []
    for _ in range(400):
        take(problem, grad)
        sizes.append(problem.optimizer.state[problem.parameters["a"]]["m.A0"].abs().max().item())

    assert (sizes[-1] < 10) == bounded


def test_deep_momentum_follows_the_gradients_of_its_two_layers():
    problem, _ = alone("dmgd", decay=0)
    w = take(problem, draw(5, 3))
    state = problem.optimizer.state[problem.parameters["a"]]
    for _ in range(STEPS):
        grad = draw(5, 3)
        k = grad / grad.norm()
        a, b = (state[part].clone().requires_grad_() for part in ("m.A0", "m.A1"))
        loss = -((k + torch.tanh(k @ a.mT) @ b.mT) * k).sum()
        slopes = torch.autograd.grad(loss, (a, b))
        a, b = (0.9 * x.detach() - 0.01 * s for x, s in zip((a, b), slopes, strict=True))
        answer = k + torch.tanh(k @ a.mT) @ b.mT

        after = take(problem, grad)

        torch.testing.assert_close(state["m.A0"], a, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(state["m.A1"], b, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(
            w - after, LR * 0.2 * answer / rms(answer), rtol=1e-9, atol=1e-12
        )
        w = after


BOTH = """blocks:
  both:
    inputs: [grad, lr]
    memories:
      p:
        {net: vector, level: step, objective: {kind: task, through: go}, rule: {rate: lr},
         init: given}
    nodes:
      o: {op: newton_schulz, in: grad, steps: 5, shape_factor: false, precision: float64}
      cube: {op: affine, in: o, scale: 0.5, then: [{op: power, exponent: 3}]}
      square: {op: power, in: o, exponent: 2}
      size: {op: power, in: square, exponent: 0.5, then: [{op: affine, shift: 1}]}
      part: {op: divide, in: [o, size]}
      go: {op: sum, in: [cube, part]}
"""
FOR_ALL = "{for: all, block: sgd}"
FOR_MATRICES = "{for: linear_maps, block: both}, {for: rest, block: sgd}"


def test_an_orthogonal_flow_that_several_ask_for_is_the_same_for_each():
    """In the type of the parameters it is no copy, which the first to ask might overwrite."""
    text = SGD.replace("blocks:\n", BOTH).replace(FOR_ALL, FOR_MATRICES)
    problem = Problem(spec_of(text), lr=LR, shapes={"a": (5, 3)})
    w, grad = problem.parameters["a"].detach().clone(), draw(5, 3)

    after = take(problem, grad)

    o = orthogonal(grad)
    wanted = w - LR * ((o / 2) ** 3 + o / (o.abs() + 1))
    torch.testing.assert_close(after, wanted, rtol=1e-9, atol=1e-9)
