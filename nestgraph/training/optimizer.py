"""The outer optimizer of a spec: AdamW whose groups follow the step clocks, and its schedule.

Decay is nanoGPT's rule: tensors of two axes or more shrink, while gains, shifts, biases and other
vectors don't. The learning rate warms up linearly, then falls along a cosine to `min_lr`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from nestgraph.parameters import ParameterSpec
from nestgraph.system import Training
from nestgraph.training.clocked import ClockedOptimizer, Group


def build_optimizer(
    parameters: Iterable[tuple[ParameterSpec, Tensor]], training: Training
) -> ClockedOptimizer:
    """AdamW over the trained parameters, one group for each clock with and without decay."""
    groups: dict[tuple[str, int, bool], Group] = {}
    for spec, parameter in parameters:
        if not parameter.requires_grad:
            continue
        decays = decayed(spec)
        group = groups.setdefault(
            (spec.level, spec.period, decays),
            {
                "params": [],
                "level": spec.level,
                "period": spec.period,
                "decays": decays,
            },
        )
        group["params"].append(parameter)
    inner = torch.optim.AdamW(list(groups.values()), fused=_fusible(groups))
    optimizer = ClockedOptimizer(inner)
    _tune(optimizer, training)
    return optimizer


def decayed(spec: ParameterSpec) -> bool:
    """Whether weight decay acts on a parameter."""
    return spec.role != "vector" and len(spec.shape) > 1


def learning_rate(training: Training, step: int) -> float:
    """Rate of the update number `step`, counted from 0."""
    if step < training.warmup:
        return training.lr * (step + 1) / (training.warmup + 1)
    if step >= training.steps:
        return training.min_lr
    progress = (step - training.warmup) / (training.steps - training.warmup)
    return (
        training.min_lr + (training.lr - training.min_lr) * (1 + math.cos(math.pi * progress)) / 2
    )


def build_schedule(optimizer: ClockedOptimizer, training: Training) -> LambdaLR:
    """The same schedule for all groups: a slow group takes the rate of the step that moves it."""
    return LambdaLR(optimizer, lambda step: learning_rate(training, step) / training.lr)


def retune(optimizer: ClockedOptimizer, schedule: LambdaLR, training: Training) -> None:
    """Sets what a spec says over what a checkpoint held; the same numbers unless it was changed."""
    _tune(optimizer, training)
    schedule.base_lrs = [training.lr for _ in optimizer.param_groups]
    for group, factor in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
        group["lr"] = training.lr * factor(schedule.last_epoch)


def _tune(optimizer: ClockedOptimizer, training: Training) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = training.lr
        group["betas"] = training.betas
        group["weight_decay"] = training.weight_decay if group["decays"] else 0.0


def _fusible(groups: dict[tuple[str, int, bool], Group]) -> bool:
    """Whether one kernel can do a whole update; many small tensors are several times faster so."""
    tensors = [parameter for group in groups.values() for parameter in group["params"]]
    return all(t.device.type in ("cpu", "cuda") and t.is_floating_point() for t in tensors)
