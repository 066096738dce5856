"""The compiled `transformer` spec against the same network by hand, with the same numbers.

Goal: within noise of 1.0. What noise is, a second copy of the hand-written side shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks import plain
from benchmarks.compiled import system_of
from benchmarks.steps import Size, Step
from benchmarks.suites import Comparison, Side
from nestgraph.compiler import compile_model
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.language.system import System

DEPTH = 2
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""Of the difference of two sides, relative to the norm."""


def comparisons(size: Size | None = None, depth: int = DEPTH) -> list[Comparison]:
    """Return one comparison: the whole model, from tokens to scores."""
    size = size or Size()
    by_hand, compiled = partial(hand_step, size, depth), partial(compiled_step, size, depth)
    return [
        Comparison(
            title=f"transformer, {depth} layers: from tokens to scores",
            size=size,
            sides=(
                Side(name="by hand", build=by_hand),
                Side(name="compiled", build=compiled, goal=1.0),
                Side(name="by hand, once more", build=by_hand),
            ),
            check=partial(check, size, depth),
        )
    ]


def hand_step(size: Size, depth: int) -> Step:
    """Return the hand-written side."""
    system = system_at(size, depth)
    hand = plain_copy(compile_model(system, seed=0), system, size)
    tokens = tokens_of(system, size)
    return Step(lambda: hand(tokens), hand.parameters())


def compiled_step(size: Size, depth: int) -> Step:
    """Return the compiled side."""
    system = system_at(size, depth)
    model, tokens = compile_model(system, seed=0), tokens_of(system, size)
    return Step(lambda: model(tokens).logits, model.parameters())


def check(size: Size, depth: int, dtype: torch.dtype = torch.float32) -> str:
    """Hold outputs and gradients of the two sides against each other.

    Raises:
        AssertionError: when they are not the same network.
    """
    system = system_at(size, depth)
    model = compile_model(system, seed=0, dtype=dtype)
    hand, tokens = plain_copy(model, system, size), tokens_of(system, size)
    ours = Step(lambda: model(tokens).logits, model.parameters())
    theirs = Step(lambda: hand(tokens), hand.parameters())
    with torch.no_grad():
        outputs = distance(ours.forward(), theirs.forward())
    ours()
    theirs()
    mine = model.weights.named()
    gradients = max(distance(mine[name].grad, grad) for name, grad in gradients_of(hand))
    worst = max(outputs, gradients)
    assert worst <= TOLERANCE[dtype], f"the sides differ by {worst:.1e}"
    return f"same numbers: outputs differ by {outputs:.0e} of their norm, gradients {gradients:.0e}"


def system_at(size: Size, depth: int) -> System:
    """Return the spec at this size."""
    return system_of("transformer", {"width": size.width, "heads": size.heads, "depth": depth})


def plain_copy(model: CompiledModel, system: System, size: Size) -> plain.Transformer:
    """Return the hand-written network with the numbers of a compiled one."""
    assert system.model is not None
    weights = model.weights.named()
    hand = plain.Transformer(
        vocab=system.model.vocab,
        width=size.width,
        heads=size.heads,
        hidden=len(weights["0.layer.a.weight"]),
        depth=len(system.model.layers),
        length=size.time,
        dtype=weights["embed.weight"].dtype,
    )
    copied = set()
    with torch.no_grad():
        for name, parameter, rows in hand.parts():
            parameter[rows] = weights[name]
            copied.add(name)
    assert copied == weights.keys()
    return hand


def tokens_of(system: System, size: Size) -> Tensor:
    """Return random tokens (batch, time)."""
    assert system.model is not None
    source = torch.Generator().manual_seed(0)
    return torch.randint(system.model.vocab, (size.batch, size.time), generator=source)


def gradients_of(hand: plain.Transformer) -> Iterator[tuple[str, Tensor]]:
    """Yield gradients of the hand-written network under the names of the spec."""
    for name, parameter, rows in hand.parts():
        assert parameter.grad is not None
        yield name, parameter.grad[rows]


def distance(a: Tensor | None, b: Tensor) -> float:
    """Return the distance of two tensors, relative to the norm of the second."""
    assert a is not None
    return float((a - b).norm() / b.norm())
