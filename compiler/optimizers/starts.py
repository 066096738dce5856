"""First states of memories, of the shapes that a parameter gives them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nestgraph.analysis.optimizer_flows import CELLS, Shape
from nestgraph.analysis.parameters import ParameterSpec, hidden_width
from nestgraph.compiler.optimizers.program import Program
from nestgraph.language.groups import labels
from nestgraph.language.system import Memory
from nestgraph.runtime.weights import draw


def zeros(shape: Shape, like: Tensor) -> Tensor:
    """Return zeros of a shape in symbols, for a parameter like `like`."""
    if shape == CELLS:
        return torch.zeros_like(like, memory_format=torch.preserve_format)
    return like.new_zeros(sized(shape, like))


def sized(shape: Shape, like: Tensor) -> tuple[int, ...]:
    """Return a shape in numbers, behind the heads that a parameter may have."""
    size = {"rows": like.shape[-2], "channels": like.shape[-1]}
    return (*like.shape[:-2], *(size[symbol] for symbol in shape))


def first_layers(
    program: Program, memory: Memory, like: Tensor, name: str, seed: int
) -> list[Tensor]:
    """Return the first state of a memory, one tensor a layer.

    Args:
        program: which knows the shapes of keys and values.
        memory: whose state it is.
        like: the parameter, as the program sees it.
        name: of the parameter.
        seed: of numbers that are drawn.
    """
    keys, values = program.sides[memory.name]
    assert values is not None, "the checks refuse flows of unknown shape"
    if memory.net.kind == "vector":
        return [_start(memory, zeros(values, like), f"{name}/{memory.name}.W0", seed)]
    assert keys is not None, "a net has keys"
    out, into = sized((values[1], keys[1]), like)[-2:]
    inner = [] if memory.net.kind == "linear" else [hidden_width(memory.net, into)]
    widths = [into, *(inner * (memory.net.layers - 1)), out]
    found = []
    for layer in range(len(widths) - 1):
        shape = (*like.shape[:-2], widths[layer + 1], widths[layer])
        found.append(_start(memory, like.new_zeros(shape), f"{name}/{memory.name}.W{layer}", seed))
    return found


def _start(memory: Memory, empty: Tensor, name: str, seed: int) -> Tensor:
    if memory.init.kind == "identity":
        unit = torch.eye(*empty.shape[-2:], dtype=empty.dtype, device=empty.device)
        return empty + unit
    if memory.init.kind != "fixed":
        return empty
    std = 1 / math.sqrt(empty.shape[-1]) if memory.init.std is None else memory.init.std
    owner, _, leaf = name.partition("/")
    stack = empty.shape[0] if empty.ndim > 2 else None
    drawn = [
        draw(
            ParameterSpec(name=f"{label}/{leaf}", shape=empty.shape[-2:], init="normal", std=std),
            seed,
        )
        for label in labels(owner, stack)
    ]
    return torch.stack(drawn).reshape(empty.shape).to(empty)
