"""The optimizers that PyTorch has too: equal to its own over fifty steps in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.language.spec import load

STEPS = 50
Settings = Mapping[str, Any]

CASES: list[tuple[str, Settings, Callable[..., Optimizer], Settings]] = [
    ("sgd", {}, SGD, {}),
    ("sgd", {"decay": 0.03}, SGD, {"weight_decay": 0.03}),
    ("momentum", {"beta": 0.8}, SGD, {"momentum": 0.8}),
    ("momentum", {"decay": 0.03}, SGD, {"momentum": 0.9, "weight_decay": 0.03}),
    ("nesterov", {"beta": 0.8}, SGD, {"momentum": 0.8, "nesterov": True}),
    (
        "nesterov",
        {"decay": 0.03},
        SGD,
        {"momentum": 0.9, "weight_decay": 0.03, "nesterov": True},
    ),
    ("adagrad", {}, Adagrad, {}),
    ("adagrad", {"eps": 1e-3, "decay": 0.03}, Adagrad, {"eps": 1e-3, "weight_decay": 0.03}),
    ("rmsprop", {}, RMSprop, {}),
    (
        "rmsprop",
        {"alpha": 0.9, "eps": 1e-4, "beta": 0.7, "decay": 0.03},
        RMSprop,
        {"alpha": 0.9, "eps": 1e-4, "momentum": 0.7, "weight_decay": 0.03},
    ),
    ("adam", {}, Adam, {}),
    (
        "adam",
        {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "decay": 0.03},
        Adam,
        {"betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.03},
    ),
    ("amsgrad", {}, Adam, {"amsgrad": True}),
    (
        "amsgrad",
        {"beta2": 0.5, "decay": 0.03},
        Adam,
        {"betas": (0.9, 0.5), "amsgrad": True, "weight_decay": 0.03},
    ),
    ("adamw", {}, AdamW, {}),
    (
        "adamw",
        {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "decay": 0.3},
        AdamW,
        {"betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.3},
    ),
    ("adamw-amsgrad", {"beta2": 0.5}, AdamW, {"betas": (0.9, 0.5), "amsgrad": True}),
    (
        "adamw-amsgrad",
        {"beta1": 0.8, "beta2": 0.5, "eps": 1e-3, "decay": 0.3},
        AdamW,
        {"betas": (0.8, 0.5), "eps": 1e-3, "amsgrad": True, "weight_decay": 0.3},
    ),
]


@pytest.mark.parametrize("lr", [1e-3, 3e-2])
@pytest.mark.parametrize("maximize", [False, True], ids=["down", "up"])
@pytest.mark.parametrize(("name", "settings", "theirs", "options"), CASES)
def test_the_steps_are_those_of_pytorch(
    name: str,
    settings: Settings,
    theirs: Callable[..., Optimizer],
    options: Settings,
    maximize: bool,
    lr: float,
):
    spec = load(name, set={f"vars.{key}": value for key, value in settings.items()})
    ours = compile_optimizer(spec.system)
    own = [torch.randn(shape, dtype=torch.float64) for shape in ((6, 4), (3, 5), (7,), (2, 3, 4))]
    other = [x.clone() for x in own]

    both(
        ours(own, lr=lr, maximize=maximize),
        own,
        theirs(other, lr=lr, maximize=maximize, **options),
        other,
    )

    for x, y in zip(own, other, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        (
            {"beta": 0.8, "decay": 0.3, "steps": 3},
            {"momentum": 0.8, "weight_decay": 0.3, "ns_steps": 3},
        ),
    ],
)
def test_muon_is_that_of_pytorch_with_newton_schulz_in_float64(
    settings: Settings, options: Settings, monkeypatch: pytest.MonkeyPatch
):
    from torch.optim import _muon

    # PyTorch rounds to bfloat16 there, which alone moves its steps by 4e-3.
    monkeypatch.setattr(_muon, "_zeropower_via_newtonschulz", in_float64)
    changes = {"precision": "float64", **settings}
    spec = load("muon", set={f"vars.{key}": value for key, value in changes.items()})
    own = [torch.randn(shape, dtype=torch.float64) for shape in ((6, 4), (6, 4), (3, 5))]
    other = [x.clone() for x in own]

    both(
        compile_optimizer(spec.system)(own, lr=0.02),
        own,
        torch.optim.Muon(other, lr=0.02, **options),
        other,
    )

    for x, y in zip(own, other, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=0)


def in_float64(
    x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Return PyTorch's own iteration without its rounding."""
    a, b, c = coefficients
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def both(ours: Optimizer, own: list[Tensor], theirs: Optimizer, other: list[Tensor]) -> None:
    """Give both the same fifty gradients of any size , some of them zero."""
    for step in range(STEPS):
        for x, y in zip(own, other, strict=True):
            x.grad = torch.randn_like(x) * 10 ** (4 * torch.rand(()) - 3) * (step != 7)
            y.grad = x.grad.clone()
        ours.step()
        theirs.step()
