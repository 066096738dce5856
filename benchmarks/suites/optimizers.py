"""Steps of the compiled AdamW, Muon and M3 against PyTorch's own AdamW and Muon.

What M3 must cost over Muon, in bytes for each number of a matrix, float32 with Newton–Schulz in
bfloat16: Muon averages the gradient (12), mixes it with the average (12), hands it to Newton–Schulz
(14) and moves the parameter (26). M3 has no mix, but collects a chunk (12), averages squares (20),
takes their root (16), adds what the slow memory knew (24), divides (12) and scales (16) on top.
Newton–Schulz is the same for both, k (4m²n + 2m³) FLOPs and 6k (n + m) m bytes for an m x n matrix
with m <= n, but at a tick of the slow memory M3 needs it a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.steps import Move, Numbers
from benchmarks.suites import Comparison, Side
from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.language.spec import load

WIDTH, HIDDEN, DEPTH, VOCAB = 256, 704, 11, 4096
LR = 1e-3
TOLERANCE = {"adamw": 1e-5, "muon": 0.1}
"""Of what a parameter moved by. In bfloat16 (eps 8e-3) the products of both Newton–Schulz are in
another order, and each of five iterations stretches what was rounded."""
Shapes = dict[str, tuple[int, ...]]


def comparisons(shapes: Shapes | None = None) -> list[Comparison]:
    """Return AdamW alone, then Muon and M3 for the matrices with AdamW for the rest."""
    shapes = shapes or transformer_shapes()
    size = Numbers(tensors=len(shapes), numbers=sum(map(_count, shapes.values())))
    compiled = partial(compiled_step, shapes)
    # Every step is a tick: the slow memory is written and made orthogonal each time.
    tick = partial(compiled, "m3-ema", {"vars.period": 1})
    return [
        Comparison(
            title="AdamW: one step",
            size=size,
            sides=(
                Side(name="torch AdamW", build=partial(torch_adamw, shapes)),
                Side(name="adamw", build=partial(compiled, "adamw"), goal=0.91),
            ),
            check=partial(check, shapes, "adamw", torch_adamw),
        ),
        Comparison(
            title="Muon and M3: one step",
            size=size,
            sides=(
                Side(name="torch Muon", build=partial(torch_muon, shapes)),
                Side(name="muon", build=partial(compiled, "muon"), goal=0.91),
                Side(name="m3-ema, between ticks", build=partial(compiled, "m3-ema"), goal=0.77),
                Side(name="m3-ema, at a tick", build=tick),
                Side(name="m3, between ticks", build=partial(compiled, "m3"), goal=0.77),
            ),
            check=partial(check, shapes, "muon", torch_muon),
            notes=(
                "m3 and m3-ema tick once in 100 steps; all move vectors and embedding by AdamW",
            ),
        ),
    ]


def transformer_shapes() -> Shapes:
    """Return 100 tensors of 9.9 million numbers, those of a transformer with gated MLPs."""
    layer = {
        **dict.fromkeys("qkvo", (WIDTH, WIDTH)),
        **dict.fromkeys(("up", "gate"), (HIDDEN, WIDTH)),
        "down": (WIDTH, HIDDEN),
        **dict.fromkeys(("before", "between"), (WIDTH,)),
    }
    layers = {f"{i}.{name}": shape for i in range(DEPTH) for name, shape in layer.items()}
    return {"embed": (VOCAB, WIDTH), **layers}


def torch_adamw(shapes: Shapes) -> Move:
    """Return PyTorch's AdamW."""
    tensors = parameters(shapes)
    optimizer = torch.optim.AdamW(tensors.values(), lr=LR, foreach=True)
    return Move(optimizer.step, tensors)


def torch_muon(shapes: Shapes) -> Move:
    """Return PyTorch's Muon for the matrices of the layers, its AdamW for the rest."""
    tensors = parameters(shapes)
    inside = [x for name, x in tensors.items() if x.ndim == 2 and name != "embed"]
    rest = [x for name, x in tensors.items() if x.ndim != 2 or name == "embed"]
    muon = torch.optim.Muon(inside, lr=LR)
    groups: list[dict[str, Any]] = [
        {"params": [x for x in rest if x.ndim == 2]},
        {"params": [x for x in rest if x.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=LR, foreach=True)

    def step() -> None:
        muon.step()
        adamw.step()

    return Move(step, tensors)


def compiled_step(shapes: Shapes, name: str, settings: dict[str, Any] | None = None) -> Move:
    """Return an optimizer of the zoo."""
    tensors = parameters(shapes)
    kind = compile_optimizer(load(name, settings or {}).system)
    groups = [
        {"params": [(name, x)], "kind": "embeddings" if name == "embed" else None}
        for name, x in tensors.items()
    ]
    return Move(kind(gathered(groups), lr=LR).step, tensors)


def gathered(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one group for each kind."""
    found: dict[str | None, dict[str, Any]] = {}
    for group in groups:
        known = found.setdefault(group["kind"], {**group, "params": []})
        known["params"] += group["params"]
    return list(found.values())


def parameters(shapes: Shapes) -> dict[str, Tensor]:
    """Return the same random parameters and gradients for every side."""
    source = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in shapes.items():
        tensors[name] = 0.02 * torch.randn(shape, generator=source)
        tensors[name].grad = 1e-3 * torch.randn(shape, generator=source)
    return tensors


def check(shapes: Shapes, name: str, theirs: Callable[[Shapes], Move], steps: int = 3) -> str:
    """Hold some steps of the compiled optimizer against PyTorch's.

    Raises:
        AssertionError: when they move the parameters elsewhere.
    """
    own, other, start = compiled_step(shapes, name), theirs(shapes), parameters(shapes)
    for _ in range(steps):
        own()
        other()
    worst = max(
        float((x - other.tensors[key]).norm() / (other.tensors[key] - start[key]).norm())
        for key, x in own.tensors.items()
    )
    assert worst <= TOLERANCE[name], f"{name} differs from PyTorch's by {worst:.1e}"
    return f"{name} and PyTorch's: {steps} steps differ by {worst:.0e} of their length"


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
