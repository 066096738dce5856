"""Memories written out token by token, with autograd on the objective: what the ops must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.ops import MemoryConfig

NAMES = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
ROLES = ("rate", "retain", "momentum", "step", "erase", "erase_key", "share", "delta")


@dataclass(kw_only=True)
class TokenByToken:
    """The literal recurrence; weights (B, H, M, out, in), every position one `step`.

    Matrices come first, then biases (B, H, M, out, 1). `window` holds (key, value, rate, delta).
    """

    config: MemoryConfig
    running: list[Tensor]
    slow: tuple[Tensor, ...] = ()
    anchor: list[Tensor] = field(default_factory=list)
    speeds: list[Tensor] = field(default_factory=list)
    kept: Tensor | None = None
    share: Tensor | None = None
    window: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.anchor = self.anchor or list(self.running)
        self.speeds = self.speeds or [torch.zeros_like(w) for w in self.running]
        batch, heads = self.running[0].shape[:2]
        if self.kept is None:
            self.kept = self.running[0].new_ones(batch, heads, 1, 1, 1)
        if self.share is None:
            self.share = self.running[0].new_ones(batch, heads)

    def net(self, weights: list[Tensor], x: Tensor, inputs: list[Tensor] | None = None) -> Tensor:
        """Answer (B, H, M, E) to x (B, H, M or 1, D)."""
        y, config = x, self.config
        for index, weight in enumerate(weights[: config.layers]):
            if inputs is not None:
                inputs.append(y)
            y = torch.einsum("bhmoi,bhmi->bhmo", weight, y.expand(*weight.shape[:3], -1))
            if config.bias:
                y = y + weights[config.layers + index].squeeze(-1)
            if index < config.layers - 1:
                y = NAMES[config.activation](y)
        if config.norm == "layer_norm":
            y = F.layer_norm(y, y.shape[-1:], eps=1e-6) * self.slow[0] + self.slow[1]
        elif config.norm == "rms_norm":
            y = y / (y.square().mean(-1, keepdim=True) + 1e-6).sqrt() * self.slow[0]
        return x + y if config.residual and not config.linear else y

    def mapped(self, weights: list[Tensor]) -> list[Tensor]:
        """Through the mirror."""
        config, maps = self.config, []
        for index, weight in enumerate(weights):
            if config.mirror == "softmax" and index < config.layers:
                weight = weight.softmax(-1)
            elif config.mirror == "lq" and index < config.layers:
                q = config.mirror_power
                total = (weight.abs() ** q).sum((-1, -2), keepdim=True) + 1e-12
                weight = weight / total ** ((q - 2) / q)
            maps.append(weight)
        return maps

    def theta(self) -> list[Tensor]:
        """Return θ = Θ + c (A - Θ), with what learning sees of it."""
        pairs = zip(self.anchor, self.running, strict=True)
        moved = [(a, _wide(self.share) * (r - a)) for a, r in pairs]
        if self.config.gradient == "full":
            return [a + m for a, m in moved]
        return [a + m.detach() for a, m in moved]

    def commit(self) -> None:
        weights = self.theta()
        if self.config.gradient == "none":
            weights = [w.detach() for w in weights]
        self.running, self.anchor = list(weights), list(weights)
        self.kept, self.share = torch.ones_like(self.kept), torch.ones_like(self.share)

    def over(self, role: str, x: Tensor | None) -> Tensor | float:
        """Return a coefficient (B, H) or (B, H, n) over the matrix."""
        if x is None:
            return 1.0
        if x.dim() == 2:
            return _wide(x)
        rows, columns = self.running[0].shape[-2:]
        shape = {"value": (rows, 1), "key": (1, columns), "cell": (rows, columns)}
        return x.view(*x.shape[:2], 1, *shape[self.config.kind(role)])

    def objective(self, y: Tensor, value: Tensor, delta: Tensor | None) -> Tensor:
        """Return the loss of one event (B, H, M, E), summed."""
        config, r = self.config, y - value
        if config.objective == "dot":
            return -config.scale * (y * value).sum()
        if config.objective == "l2":
            return 0.5 * config.scale * r.square().sum()
        if config.objective == "lp":
            return config.scale * (r.abs() ** config.power).sum()
        d = delta[:, :, None, None]
        if config.switch == "norm":
            near = r.square().sum(-1, keepdim=True) <= d.square()
            return config.scale * torch.where(near, 0.5 * r.square(), d * r.abs()).sum()
        inner = r.abs() <= d
        return config.scale * torch.where(inner, 0.5 * r.square(), d * (r.abs() - d / 2)).sum()

    def step(self, events: list[tuple[Tensor, Any, Any]], **rates: Tensor | None) -> None:
        """Compute one position: events of k (B, H, D) with a value (B, H, M, E) or own (B, H,
        D).
        """
        config, rates = self.config, dict.fromkeys(ROLES) | rates
        before = (self.running, self.anchor, self.speeds, self.kept)
        if config.gradient != "full":
            self.running, self.anchor, self.speeds = ([w.detach() for w in ws] for ws in before[:3])
            events = [tuple(None if x is None else x.detach() for x in e) for e in events]
            rates = {k: None if v is None else v.detach() for k, v in rates.items()}
            self.slow, slow = tuple(x.detach() for x in self.slow), self.slow
        self._step(events, rates)
        if config.gradient != "full":
            self.anchor, self.slow = before[1], slow

    def _step(self, events: list[tuple[Tensor, Any, Any]], rates: dict[str, Tensor | None]) -> None:
        config = self.config
        alpha = self.over("retain", rates["retain"])
        self.kept = self.kept * alpha
        at = [weight * self.kept if config.retain_first else weight for weight in self.anchor]
        at = [
            w.clone() if w.requires_grad else w.detach().requires_grad_() for w in self.mapped(at)
        ]
        one = self.running[0].new_ones(self.running[0].shape[:2])
        rate = one if rates["rate"] is None else rates["rate"]
        new = [(*event, rate, rates["delta"]) for event in events]
        self.window = [*self.window, *new][-config.window * config.events :]
        pushes: list[Tensor | float] = [0.0] * len(at)
        for event in self.window:
            for index, push in enumerate(self._push(at, *event)):
                pushes[index] = pushes[index] + push
        inputs = [self._inputs(at, key) for key, _, _ in events]
        for index, push in enumerate(pushes):
            self._move(index, push, [a[index] for a in inputs if index < config.layers], rates)
        if rates["share"] is not None:
            self.share = rates["share"]

    def _inputs(self, at: list[Tensor], key: Tensor) -> list[Tensor]:
        inputs: list[Tensor] = []
        self.net(at, key.unsqueeze(2), inputs)
        return [a.expand(*self.running[0].shape[:3], -1) for a in inputs]

    def _push(self, at, key, value, own, rate, delta) -> list[Tensor]:
        if own is not None:
            value = self.net(self.mapped(self.anchor), own.unsqueeze(2))
        y = self.net(at, key.unsqueeze(2))
        held = value if value.requires_grad else value.detach()
        loss = self.objective(y, held, delta)
        gradients = torch.autograd.grad(loss, at, create_graph=True)
        pushes = []
        for index, gradient in enumerate(gradients):
            r = self.over("rate", rate)
            if self.config.implicit and index < self.config.layers:
                a = self._inputs(at, key)[index]
                r = r / (1 + r * a.square().sum(-1)[..., None, None])
            pushes.append(r * gradient)
        return pushes

    def _move(self, index, push, inputs, rates) -> None:
        config, running = self.config, self.running[index]
        speed = 0
        if config.momentum:
            speed = self.over("momentum", rates["momentum"]) * self.speeds[index]
        self.speeds[index] = speed - push
        moved = self.over("retain", rates["retain"]) * running
        left = moved if config.retain_first else running
        if config.erases(index):
            keys = (
                [rates["erase_key"].unsqueeze(2).expand_as(inputs[0])]
                if config.erase_key
                else inputs
            )
            for a in keys:
                moved = moved - self._erased(index, left, a, rates)
        step = self.speeds[index]
        if config.direction_steps and index < config.layers:
            step = muon(step, config.direction_steps)
        self.running = list(self.running)
        self.running[index] = moved + self.over("step", rates["step"]) * step

    def _erased(self, index: int, left: Tensor, a: Tensor, rates) -> Tensor:
        if rates["erase"] is not None:
            rho = self.over("erase_rate", rates["erase"])
        elif self.config.erase_key:
            rho = 1.0
        else:
            rho = self.over("rate", rates["rate"])
            if self.config.implicit:
                rho = rho / (1 + rho * a.square().sum(-1)[..., None, None])
        met = torch.einsum("bhmoi,bhmi->bhmo", left, a)
        return rho * torch.einsum("bhmo,bhmi->bhmoi", met, a)


def muon(x: Tensor, steps: int) -> Tensor:
    """Return Newton-Schulz by its definition, matrix by matrix."""
    if x.shape[-2] > x.shape[-1]:
        return muon(x.mT, steps).mT
    x = x / (x.square().sum((-1, -2), keepdim=True).sqrt() + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x


def _wide(coefficient_BH: Tensor) -> Tensor:
    return coefficient_BH[:, :, None, None, None]


@pytest.fixture
def token_by_token() -> type[TokenByToken]:
    return TokenByToken


@pytest.fixture
def assert_alike() -> Callable[[Iterable[Tensor], Iterable[Tensor]], None]:
    """Assert that tensors agree to float64 noise, one by one."""

    def check(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> None:
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert a.shape == b.shape, index
            scale = max(float(b.detach().norm()), 1.0)
            assert float((a - b).detach().norm()) <= 1e-10 * scale, index

    return check


@pytest.fixture
def loss_gradients() -> Callable[[Iterable[Tensor], Iterable[Tensor]], list[Tensor]]:
    """Return gradients of a fixed random mixture of the outputs with respect to the inputs."""

    def gradients(outputs: Iterable[Tensor], inputs: Iterable[Tensor]) -> list[Tensor]:
        mixer = torch.Generator().manual_seed(7)
        loss = sum(
            (y * torch.randn(y.shape, generator=mixer, dtype=y.dtype)).sum() for y in outputs
        )
        inputs = list(inputs)
        found = torch.autograd.grad(loss, inputs, allow_unused=True, retain_graph=True)
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]

    return gradients
