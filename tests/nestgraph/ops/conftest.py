"""Memories written out token by token, with autograd on the objective: what the ops must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops import Form

NAMES = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


@dataclass(kw_only=True)
class TokenByToken:
    """The literal recurrence; weights (B, H, M, out, in), every position one `step`."""

    form: Form
    running: list[Tensor]
    anchor: list[Tensor] = field(default_factory=list)
    speeds: list[Tensor] = field(default_factory=list)
    kept: Tensor | None = None

    def __post_init__(self) -> None:
        self.anchor = self.anchor or list(self.running)
        self.speeds = self.speeds or [torch.zeros_like(w) for w in self.running]
        if self.kept is None:
            self.kept = self.running[0].new_ones(self.running[0].shape[:2])

    def net(self, weights: list[Tensor], x: Tensor, inputs: list[Tensor] | None = None) -> Tensor:
        """Answer (B, H, M, E) to x (B, H, M or 1, D)."""
        y = x
        for index, weight in enumerate(weights):
            if inputs is not None:
                inputs.append(y)
            y = torch.einsum("bhmoi,bhmi->bhmo", weight, y.expand(*weight.shape[:3], -1))
            if index < len(weights) - 1:
                y = NAMES[self.form.activation](y)
        return x + y if self.form.residual and not self.form.linear else y

    def commit(self) -> None:
        self.anchor = list(self.running)
        self.kept = torch.ones_like(self.kept)

    def step(self, k, value, own, rate, retain, momentum, erase_rate) -> None:
        """One event: k (B, H, D), value (B, H, M, E) or own (B, H, D), coefficients (B, H)."""
        form = self.form
        one = k.new_ones(k.shape[:2])
        rate = one if rate is None else rate
        retain = one if retain is None else retain
        self.kept = self.kept * retain
        if own is not None:
            value = self.net(self.anchor, own.unsqueeze(2))
        fade = _wide(self.kept) if form.retain_first else 1.0
        at = [weight * fade for weight in self.anchor]
        at = [w if w.requires_grad else w.detach().requires_grad_() for w in at]
        inputs: list[Tensor] = []
        y = self.net(at, k.unsqueeze(2), inputs)
        if form.objective == "dot":
            objective = -form.scale * (y * value).sum()
        else:
            objective = 0.5 * form.scale * (y - value).square().sum()
        gradients = torch.autograd.grad(objective, at, create_graph=True)
        for index, (a, gradient) in enumerate(zip(inputs, gradients, strict=True)):
            running = self.running[index]
            a = a.expand(*running.shape[:3], -1)
            r = rate.unsqueeze(-1).expand(a.shape[:3])
            if form.implicit:
                r = r / (1 + r * a.square().sum(-1))
            speed = 0 if momentum is None else _wide(momentum) * self.speeds[index]
            self.speeds[index] = speed - r[..., None, None] * gradient
            moved = _wide(retain) * running
            if form.erase == "layers" or (form.erase == "key" and index == 0):
                rho = r if erase_rate is None else erase_rate.unsqueeze(-1).expand(a.shape[:3])
                left = moved if form.retain_first else running
                met = torch.einsum("bhmoi,bhmi->bhmo", left, a) * rho.unsqueeze(-1)
                moved = moved - torch.einsum("bhmo,bhmi->bhmoi", met, a)
            self.running[index] = moved + self.speeds[index]


def _wide(coefficient_BH: Tensor) -> Tensor:
    return coefficient_BH[:, :, None, None, None]


@pytest.fixture
def token_by_token() -> type[TokenByToken]:
    return TokenByToken


@pytest.fixture
def assert_alike() -> Callable[[Iterable[Tensor], Iterable[Tensor]], None]:
    """Asserts that tensors agree to float64 noise, one by one."""

    def check(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> None:
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert a.shape == b.shape, index
            scale = max(float(b.detach().norm()), 1.0)
            assert float((a - b).detach().norm()) <= 1e-10 * scale, index

    return check


@pytest.fixture
def loss_gradients() -> Callable[[Iterable[Tensor], Iterable[Tensor]], list[Tensor]]:
    """Gradients of a fixed random mixture of the outputs with respect to the inputs."""

    def gradients(outputs: Iterable[Tensor], inputs: Iterable[Tensor]) -> list[Tensor]:
        mixer = torch.Generator().manual_seed(7)
        loss = sum(
            (y * torch.randn(y.shape, generator=mixer, dtype=y.dtype)).sum() for y in outputs
        )
        inputs = list(inputs)
        found = torch.autograd.grad(loss, inputs, allow_unused=True, retain_graph=True)
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]

    return gradients
