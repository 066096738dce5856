"""What users do to optimizers of PyTorch, they can do to a compiled one.

Schedulers, groups, closures: each is held against `torch.optim`'s own under the same treatment.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim import lr_scheduler as schedulers

from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.errors import InputError
from nestgraph.language.spec import Spec, load

STEPS = 12
OURS = compile_optimizer(load("adamw").system)
MOMENTUM = compile_optimizer(load("momentum").system)
SHAPES = ((3, 2), (4,))

SCHEDULES: dict[str, Callable[[Optimizer], Any]] = {
    "cosine": lambda o: schedulers.CosineAnnealingLR(o, T_max=10, eta_min=1e-4),
    "restarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=4),
    "one cycle": lambda o: schedulers.OneCycleLR(
        o, max_lr=0.2, total_steps=STEPS + 1, cycle_momentum=False
    ),
    "cyclic": lambda o: schedulers.CyclicLR(
        o, base_lr=1e-3, max_lr=0.1, step_size_up=3, cycle_momentum=False
    ),
    "sequence": lambda o: schedulers.SequentialLR(
        o,
        [schedulers.LinearLR(o, 0.1, total_iters=4), schedulers.CosineAnnealingLR(o, 8)],
        milestones=[4],
    ),
    "chain": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, 0.3, total_iters=5), schedulers.ExponentialLR(o, 0.8)]
    ),
}


def fresh() -> list[nn.Parameter]:
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in SHAPES]


def twins(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    return [nn.Parameter(p.detach().clone()) for p in parameters]


def gradients() -> list[Tensor]:
    return [torch.randn(shape, dtype=torch.float64) for shape in SHAPES]


def take(optimizer: Optimizer, parameters: list[nn.Parameter], grads: list[Tensor]) -> None:
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad.clone()
    optimizer.step()


def rates(optimizer: Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def assert_near(ours: list[nn.Parameter], theirs: list[nn.Parameter]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scheduler_of_pytorch_does_what_it_does_there(name: str) -> None:
    own = fresh()
    other = twins(own)
    ours, theirs = OURS(own, lr=0.05), AdamW(other, lr=0.05)
    mine, its = SCHEDULES[name](ours), SCHEDULES[name](theirs)

    for _ in range(STEPS):
        grads = gradients()
        for optimizer, schedule, held in ((ours, mine, own), (theirs, its, other)):
            take(optimizer, held, grads)
            schedule.step()
        assert set(rates(ours)) == set(rates(theirs))

    assert_near(own, other)


def test_a_plateau_lowers_the_rate() -> None:
    own = fresh()
    other = twins(own)
    ours, theirs = OURS(own, lr=0.05), AdamW(other, lr=0.05)
    mine, its = (schedulers.ReduceLROnPlateau(o, patience=1, factor=0.5) for o in (ours, theirs))

    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0):
        grads = gradients()
        for optimizer, schedule, held in ((ours, mine, own), (theirs, its, other)):
            take(optimizer, held, grads)
            schedule.step(loss)

    assert set(rates(ours)) == set(rates(theirs)) == {0.05 / 4}
    assert_near(own, other)


@pytest.mark.parametrize("kind", [OURS, MOMENTUM])
def test_a_schedule_of_momenta_is_refused_for_they_are_the_specs_own(kind: Any) -> None:
    with pytest.raises(ValueError, match="cycle_momentum"):
        schedulers.OneCycleLR(kind(fresh()), max_lr=0.1, total_steps=9)
    with pytest.raises(ValueError, match="cycle_momentum"):
        schedulers.CyclicLR(kind(fresh()), base_lr=0.01, max_lr=0.1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_optimizer_and_scheduler_go_on_from_their_states_to_the_last_bit(name: str) -> None:
    own = fresh()
    optimizer = OURS(own, lr=0.05)
    schedule = SCHEDULES[name](optimizer)
    history = [gradients() for _ in range(STEPS)]
    for grads in history[:5]:
        take(optimizer, own, grads)
        schedule.step()
    kept = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))

    later = twins(own)
    resumed = OURS(later, lr=0.05)
    again = SCHEDULES[name](resumed)
    resumed.load_state_dict(kept[0])
    again.load_state_dict(kept[1])
    for grads in history[5:]:
        for one, clock, held in ((optimizer, schedule, own), (resumed, again, later)):
            take(one, held, grads)
            clock.step()

    assert rates(resumed) == rates(optimizer)
    assert all(torch.equal(a, b) for a, b in zip(own, later, strict=True))


def test_a_rate_by_group_is_kept_and_may_be_edited() -> None:
    own = fresh()
    other = twins(own)
    ours = OURS([{"params": [own[0]], "lr": 0.1}, {"params": [own[1]]}], lr=0.01)
    theirs = AdamW([{"params": [other[0]], "lr": 0.1}, {"params": [other[1]]}], lr=0.01)

    for step in range(6):
        grads = gradients()
        for optimizer, held in ((ours, own), (theirs, other)):
            take(optimizer, held, grads)
            for group in optimizer.param_groups:
                group["lr"] *= 0.5 if step % 2 else 3

    assert rates(ours) == rates(theirs)
    assert_near(own, other)


def test_groups_may_climb_or_go_one_by_one_where_others_do_not() -> None:
    own = fresh()
    other = twins(own)
    flags = ({"maximize": True}, {"foreach": False})
    ours = OURS([{"params": [p], **f} for p, f in zip(own, flags, strict=True)], lr=0.01)
    theirs = AdamW([{"params": [p], **f} for p, f in zip(other, flags, strict=True)], lr=0.01)

    for _ in range(4):
        grads = gradients()
        take(ours, own, grads)
        take(theirs, other, grads)

    assert_near(own, other)


def test_a_group_that_is_added_later_starts_then() -> None:
    own = fresh()
    other = twins(own)
    ours, theirs = OURS([own[0]], lr=0.01), AdamW([other[0]], lr=0.01)
    for step in range(6):
        if step == 3:
            ours.add_param_group({"params": own[1], "lr": 0.2})
            theirs.add_param_group({"params": other[1], "lr": 0.2})
        grads = gradients()
        take(ours, own, grads)
        take(theirs, other, grads)

    assert_near(own, other)


@pytest.mark.parametrize("to_none", [True, False])
def test_gradients_are_cleared_as_asked(to_none: bool) -> None:
    own = fresh()
    other = twins(own)
    ours, theirs = OURS(own, lr=0.01), AdamW(other, lr=0.01)
    for _ in range(3):
        grads = gradients()
        for optimizer, held in ((ours, own), (theirs, other)):
            take(optimizer, held, grads)
            optimizer.zero_grad(set_to_none=to_none)
            optimizer.step()  # nothing without a gradient, momentum alone with one of zeros

    assert all((p.grad is None) == to_none for p in own)
    assert_near(own, other)


def test_a_closure_is_called_once_with_gradients_and_its_loss_comes_back() -> None:
    own = fresh()
    other = twins(own)
    losses = []
    for optimizer, held in ((OURS(own, lr=0.01), own), (AdamW(other, lr=0.01), other)):
        calls = []

        def closure(
            optimizer: Optimizer = optimizer, held: Any = held, calls: list[int] = calls
        ) -> Tensor:
            calls.append(1)
            optimizer.zero_grad()
            loss = sum(p.square().sum() for p in held)
            assert isinstance(loss, Tensor)
            loss.backward()
            return loss

        losses.append(torch.stack([optimizer.step(closure).detach() for _ in range(3)]))  # type: ignore[arg-type, union-attr]
        assert len(calls) == 3

    torch.testing.assert_close(losses[0], losses[1])
    assert_near(own, other)


@pytest.mark.parametrize("option", ["weight_decay", "betas", "momentum", "nesterov"])
def test_an_option_that_the_spec_decides_is_refused_and_not_ignored(option: str) -> None:
    with pytest.raises(InputError, match=rf"a group of `adamw` has no `{option}`") as caught:
        OURS([{"params": fresh(), option: 0.0}])

    assert "compile_optimizer(name, set=" in str(caught.value)


def test_parameters_without_an_order_are_refused() -> None:
    with pytest.raises(TypeError, match="in an order"):
        OURS([{"params": set(fresh())}])


@pytest.mark.parametrize(
    ("params", "message"),
    [([], "empty parameter list"), ([torch.ones(2, requires_grad=True) * 2], "non-leaf")],
)
def test_what_pytorch_refuses_is_refused(params: list[Tensor], message: str) -> None:
    for kind in (OURS, AdamW):
        with pytest.raises(ValueError, match=message):
            kind(params)


def test_a_parameter_in_two_groups_is_refused() -> None:
    shared = fresh()[0]
    for kind in (OURS, SGD):
        with pytest.raises(ValueError, match=r"more than one parameter group|is given twice"):
            kind([{"params": [shared]}, {"params": [shared]}])


def test_a_factor_of_a_group_stays_under_schedulers_that_scale() -> None:
    text = """
        nestgraph: 1
        name: two-rates
        blocks:
          sgd:
            inputs: [grad, lr]
            memories:
              p: {net: vector, level: step, objective: task, rule: {rate: lr}, init: given}
        optimizer: [{for: vectors, block: sgd, lr: 3}, {for: rest, block: sgd}]
    """
    kind = compile_optimizer(Spec.from_sources({"f": text}, "f", {}).system)
    optimizer = kind(fresh(), lr=0.1)
    schedule = schedulers.ExponentialLR(optimizer, 0.5)

    for _ in range(3):
        optimizer.step()
        schedule.step()

    assert rates(optimizer) == pytest.approx([0.3 / 8, 0.1 / 8])
