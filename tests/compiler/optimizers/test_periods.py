"""Step clocks: exact against hand-written loops, still between ticks, whole in a checkpoint."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nestgraph.compiler.optimizers import NestedOptimizer, compile_optimizer
from nestgraph.language.spec import load

STEPS = 13
SPEC = load("adamw", set={"vars.beta1": 0.8, "vars.beta2": 0.95, "vars.decay": 0.3})
ADAMW = {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.3, "eps": 1e-8}


def fresh(count: int = 3) -> list[nn.Parameter]:
    return [nn.Parameter(torch.randn(3, 2, dtype=torch.float64)) for _ in range(count)]


def clones(parameters: Sequence[Tensor]) -> list[nn.Parameter]:
    return [nn.Parameter(p.detach().clone()) for p in parameters]


def gradients(steps: int = STEPS, count: int = 3) -> list[list[Tensor]]:
    return [[torch.randn(3, 2, dtype=torch.float64) for _ in range(count)] for _ in range(steps)]


def clocked(parameters: Sequence[Tensor], periods: Sequence[int]) -> NestedOptimizer:
    groups = [
        {"params": [p], "period": n, "level": f"every {n}"}
        for p, n in zip(parameters, periods, strict=True)
    ]
    return compile_optimizer(SPEC.system)(groups, lr=0.05)


def take(optimizer: torch.optim.Optimizer, grads: Sequence[Tensor | None]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad()
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = None if grad is None else grad.clone()
    optimizer.step()


def assert_same(a: Sequence[Tensor], b: Sequence[Tensor]) -> None:
    for left, right in zip(a, b, strict=True):
        assert torch.equal(left, right)


def assert_near(a: Sequence[Tensor], b: Sequence[Tensor]) -> None:
    for left, right in zip(a, b, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


def test_with_all_periods_1_it_is_adamw() -> None:
    ours = fresh()
    theirs = clones(ours)
    optimizer = clocked(ours, [1, 1, 1])
    plain = torch.optim.AdamW(theirs, **ADAMW)

    for grads in gradients():
        take(optimizer, grads)
        take(plain, grads)

    assert_near(ours, theirs)


@pytest.mark.parametrize("period", [2, 3, 5])
def test_a_slow_group_follows_adamw_written_out_by_hand_on_mean_gradients(period: int) -> None:
    parameter = fresh(1)
    theta = parameter[0].detach().clone()
    optimizer = clocked(parameter, [period])
    m, v, tick, waiting = torch.zeros_like(theta), torch.zeros_like(theta), 0, []
    lr, (beta1, beta2), decay = ADAMW["lr"], ADAMW["betas"], ADAMW["weight_decay"]

    for grads in gradients(count=1):
        take(optimizer, grads)
        waiting.append(grads[0])
        if len(waiting) == period:
            grad, tick, waiting = torch.stack(waiting).mean(0), tick + 1, []
            m = beta1 * m + (1 - beta1) * grad
            v = beta2 * v + (1 - beta2) * grad**2
            corrected = (v / (1 - beta2**tick)).sqrt() + ADAMW["eps"]
            theta = (1 - lr * decay) * theta - lr * m / (1 - beta1**tick) / corrected
        torch.testing.assert_close(parameter[0].detach(), theta, rtol=1e-13, atol=1e-13)

    assert optimizer.updates() == {f"every {period}": STEPS // period}


def test_several_clocks_are_several_optimizers() -> None:
    periods = [1, 3, 4]
    ours = fresh()
    theirs = clones(ours)
    optimizer = clocked(ours, periods)
    apart = [torch.optim.AdamW([p], **ADAMW) for p in theirs]
    history = gradients()

    for step, grads in enumerate(history, start=1):
        take(optimizer, grads)
        for column, (single, period) in enumerate(zip(apart, periods, strict=True)):
            if step % period == 0:
                total = history[step - period][column].clone()
                for earlier in history[step - period + 1 : step]:
                    total += earlier[column]
                take(single, [total / period])

    assert_near(ours, theirs)
    assert optimizer.updates() == {"every 1": 13, "every 3": 4, "every 4": 3}


def test_between_its_ticks_nothing_about_a_group_changes() -> None:
    parameter = fresh(1)[0]
    optimizer = clocked([parameter], [4])

    for step, grads in enumerate(gradients(count=1), start=1):
        before = parameter.detach().clone()
        take(optimizer, grads)
        assert torch.equal(parameter, before) == (step % 4 != 0)


def test_a_step_that_is_called_off_has_not_happened() -> None:
    ours = fresh()
    theirs = clones(ours)
    optimizer, other = clocked(ours, [1, 3, 4]), clocked(theirs, [1, 3, 4])

    for step, grads in enumerate(gradients()):
        if step % 4 == 2:
            optimizer.call_off()
            take(optimizer, [torch.full_like(grad, torch.nan) for grad in grads])
        else:
            take(optimizer, grads)
            take(other, grads)

    assert_same(ours, theirs)
    assert optimizer.updates() == other.updates()


def test_the_closure_runs_once_with_gradients_and_before_the_clocks() -> None:
    parameter = fresh(1)[0]
    twin = clones([parameter])[0]
    optimizer, plain = clocked([parameter], [1]), torch.optim.AdamW([twin], **ADAMW)
    calls = []

    def closure() -> Any:
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    take(plain, [2 * twin.detach()])

    assert calls == [True]
    assert loss.item() == pytest.approx((twin.grad**2 / 4).sum().item())
    assert_near([parameter], [twin])


def test_a_closure_that_fails_leaves_the_clocks_alone() -> None:
    optimizer = clocked(fresh(), [1, 2, 3])
    before = copy.deepcopy(optimizer.state_dict())

    def closure() -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        optimizer.step(closure)

    assert optimizer.state_dict() == before


def test_a_step_without_gradient_counts_as_one_with_a_gradient_of_zero() -> None:
    ours = fresh(1)
    theirs = clones(ours)
    optimizer, other = clocked(ours, [3]), clocked(theirs, [3])
    grad = torch.randn(3, 2, dtype=torch.float64)

    for grads in ([None], [grad], [None]):
        take(optimizer, grads)
    for grads in ([torch.zeros_like(grad)], [grad], [torch.zeros_like(grad)]):
        take(other, grads)

    assert_same(ours, theirs)


def test_a_period_without_any_gradient_moves_nothing() -> None:
    parameter = fresh(1)
    before = clones(parameter)

    optimizer = clocked(parameter, [2])
    for _ in range(4):
        take(optimizer, [None])

    assert_same(parameter, before)


def test_after_a_tick_the_gradients_of_this_step_are_back() -> None:
    parameter = fresh(1)
    optimizer = clocked(parameter, [2])

    for grads in gradients(4, 1):
        take(optimizer, grads)
        assert_same([parameter[0].grad], grads)


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_state_saved_anywhere_in_a_period_goes_on_to_the_last_bit(stop: int) -> None:
    periods = [1, 3, 4]
    ours = fresh()
    history = gradients()
    optimizer = clocked(ours, periods)
    for grads in history[:stop]:
        take(optimizer, grads)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    later = clones(ours)
    for grads in history[stop:]:
        take(optimizer, grads)

    resumed = clocked(later, periods)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for grads in history[stop:]:
        take(resumed, grads)

    assert_same(later, ours)
    assert resumed.updates() == optimizer.updates()


def test_a_saved_state_doesnt_change_with_the_optimizer_that_took_it_up() -> None:
    optimizer = clocked(fresh(1), [3])
    take(optimizer, gradients(1, 1)[0])
    state = copy.deepcopy(optimizer.state_dict())
    kept = state["state"][0]["waiting"].clone()

    other = clocked(fresh(1), [3])
    other.load_state_dict(state)
    take(other, gradients(1, 1)[0])

    assert torch.equal(state["state"][0]["waiting"], kept)


def test_a_schedule_is_followed_also_after_loading() -> None:
    parameter = fresh(1)
    twin = clones(parameter)
    optimizer, plain = clocked(parameter, [1]), torch.optim.AdamW(twin, **ADAMW)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    ours = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.7**step)
    theirs = torch.optim.lr_scheduler.LambdaLR(plain, lambda step: 0.7**step)

    for grads in gradients(count=1):
        for one, schedule in ((optimizer, ours), (plain, theirs)):
            take(one, grads)
            schedule.step()

    assert_near(parameter, twin)


def test_a_group_that_is_added_later_has_a_clock_of_its_own() -> None:
    first, second = fresh(2)
    optimizer = clocked([first], [2])
    take(optimizer, gradients(1, 1)[0])

    optimizer.add_param_group({"params": [second], "period": 2, "level": "late"})
    before = second.detach().clone()
    take(optimizer, gradients(1, 2)[0])

    assert optimizer.updates() == {"every 2": 1, "late": 0}
    assert torch.equal(second, before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_is_whole_and_apart(copied: Any) -> None:
    optimizer = clocked(fresh(), [1, 3, 4])
    history = gradients()
    for grads in history[:5]:
        take(optimizer, grads)

    other = copied(optimizer)
    for grads in history[5:]:
        take(optimizer, grads)
        take(other, grads)

    ours = [p for group in optimizer.param_groups for p in group["params"]]
    theirs = [p for group in other.param_groups for p in group["params"]]
    assert_same(ours, theirs)
    assert not any(a is b for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("period", [0, -1, 1.5, True, "4"])
def test_a_period_that_is_no_number_of_steps_is_refused(period: object) -> None:
    with pytest.raises(ValueError, match=r"`period` \(=.*\) must be a whole number of steps"):
        clocked(fresh(1), [period])  # type: ignore[list-item]


def test_the_state_of_another_optimizer_is_refused() -> None:
    plain = torch.optim.AdamW(fresh(1), **ADAMW)

    with pytest.raises(ValueError, match="this state is not one of `adamw`"):
        clocked(fresh(1), [2]).load_state_dict(plain.state_dict())
