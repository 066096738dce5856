"""The outer optimizer of a spec, with its parameters on the spec's step clocks, and its schedule.

`training.optimizer` names an optimizer or writes one out; compiled, it takes the parameters of the
model in groups that say what they are. The learning rate warms up linearly, then falls along a
cosine to `min_lr`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.compiler.optimizers import NestedOptimizer, compile_optimizer
from nestgraph.compiler.optimizers.discover import model_groups
from nestgraph.language.system import Training


def build_optimizer(
    parameters: Iterable[tuple[ParameterSpec, Tensor]], training: Training
) -> NestedOptimizer:
    """Return the optimizer of a spec over its trained parameters, one group for each clock and
    kind.

    Raises:
        SpecError: the optimizer can't be run, or a parameter doesn't fit its group.
    """
    assert training.system is not None, "a spec that was read knows its optimizer"
    kind_of_optimizer = compile_optimizer(training.system)
    return kind_of_optimizer(model_groups(parameters), lr=training.lr, seed=training.seed)


def learning_rate(training: Training, step: int) -> float:
    """Return rate of the update number `step`, counted from 0."""
    if step < training.warmup:
        return training.lr * (step + 1) / (training.warmup + 1)
    if step >= training.steps:
        return training.min_lr
    progress = (step - training.warmup) / (training.steps - training.warmup)
    return (
        training.min_lr + (training.lr - training.min_lr) * (1 + math.cos(math.pi * progress)) / 2
    )


def build_schedule(optimizer: NestedOptimizer, training: Training) -> LambdaLR:
    """Return the same schedule for all groups: a slow group takes the rate of the step that moves
    it.
    """
    return LambdaLR(optimizer, lambda step: learning_rate(training, step) / training.lr)


def retune(optimizer: NestedOptimizer, schedule: LambdaLR, training: Training) -> None:
    """Set what a spec says over what a checkpoint held; the same numbers unless it was changed.

    Decay and other vars are the compiled optimizer's own and never come from a checkpoint.
    """
    rates = [training.lr * optimizer.rules[group["rule"]].lr for group in optimizer.param_groups]
    schedule.base_lrs = rates
    groups = zip(optimizer.param_groups, rates, schedule.lr_lambdas, strict=True)
    for group, rate, factor in groups:
        group["initial_lr"] = rate
        group["lr"] = rate * factor(schedule.last_epoch)
