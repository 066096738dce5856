"""Where memories start, and start over (§3, `init` and `reset`).

A start is worked out for a whole block at once, since `init: from` takes another memory's.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

import torch
from torch import Tensor

from nestgraph.analysis.online_memories import erased_layers
from nestgraph.analysis.parameters import TRAINED, head_widths, starts, state_shapes
from nestgraph.language.system import FlatBlock, Memory
from nestgraph.reference import attention, window
from nestgraph.reference.coefficients import shape
from nestgraph.reference.nets import Matrices
from nestgraph.reference.state import (
    Events,
    Learned,
    MemoryState,
    has_momentum,
    has_share,
    keeps_retention,
)

Parameters = Mapping[str, Mapping[str, Tensor]]  # by owner, then by short name
States = Mapping[str, MemoryState]


def first(block: FlatBlock, parameters: Parameters, batch: int, like: Tensor) -> States:
    """Return every memory at t = 0: A = Θ = as `init` says, all else zero, no events.

    Args:
        block: whose memories.
        parameters: the layer's.
        batch: rows of the batch; each starts alike.
        like: a tensor of the wanted type and device.
    """
    states: dict[str, MemoryState] = {}
    for memory in _sources_first(block):
        if not memory.is_step_group:
            states[memory.name] = _first(block, memory, parameters, states, batch, like)
    return states


def started_over(
    block: FlatBlock, parameters: Parameters, states: States, position: int, batch: int
) -> States:
    """Return the states behind a position, with the resets that are due there.

    They come behind all commits; a memory that starts `from` another starts as that is then,
    behind its own reset if both are due.
    """
    now = dict(states)
    for memory in _sources_first(block):
        period = memory.reset.period  # 0: never
        if not period or position % period or memory.name not in now:
            continue
        state = now[memory.name]
        if isinstance(state, Events):
            now[memory.name] = attention.forget(state)
        else:
            now[memory.name] = _first(block, memory, parameters, now, batch, state.running[0])
    return now


def home(block: FlatBlock, memory: Memory, parameters: Parameters, like: Matrices) -> Matrices:
    """Return where a memory that pulls towards its start began: it doesn't change on the way.

    One that starts `from` another began as that did; a `reset` would be another's present
    state, which the checks refuse here.
    """
    *_, first = takewhile(lambda one: not one.is_step_group, starts(block, memory))
    return _start(block, first, parameters, {}, len(like[0]), like[0])


def _sources_first(block: FlatBlock) -> list[Memory]:
    """Return each memory behind the one that it starts as."""
    placed: dict[str, Memory] = {}
    for memory in block.memories.values():
        chain = [memory]
        while (source := chain[-1].init.memory) is not None:
            chain.append(block.memories[source])
        placed |= {one.name: one for one in reversed(chain) if one.name not in placed}
    return list(placed.values())


def _first(
    block: FlatBlock,
    memory: Memory,
    parameters: Parameters,
    states: States,
    batch: int,
    like: Tensor,
) -> MemoryState:
    if memory.net.kind == "attention":
        widths = head_widths(memory)
        keys, values = (like.new_zeros(batch, memory.heads, 0, width) for width in widths)
        return Events(keys, values, like.new_zeros(batch, 0, dtype=torch.bool))
    start = _start(block, memory, parameters, states, batch, like)
    lead = (batch, memory.heads)
    return Learned(
        running=start,
        anchor=start,
        momentum=tuple(map(torch.zeros_like, start)) if has_momentum(memory) else (),
        window=window.blank(memory, batch, like),
        kept=(
            like.new_ones(*lead, *shape(memory, memory.rule.retain))
            if keeps_retention(memory)
            else None
        ),
        share=like.new_ones(lead) if has_share(memory) else None,
        grams=tuple(
            like.new_zeros(*lead, *(2 * matrix.shape[-1:]))
            for matrix in start[: erased_layers(memory)]
        ),
    )


def _start(
    block: FlatBlock,
    memory: Memory,
    parameters: Parameters,
    states: States,
    batch: int,
    like: Tensor,
) -> Matrices:
    source = block.memories.get(memory.init.memory or "")
    if source is not None and not source.is_step_group:
        state = states[source.name]
        assert isinstance(state, Learned), "attention is no start: the checks refuse that"
        return state.anchor
    owner = memory.name if source is None else source.name  # a group on steps is its parameters
    drawn = parameters.get(owner, {})
    shapes = state_shapes(memory)
    kind = "learned" if source is not None else memory.init.kind
    if kind in (*TRAINED, "fixed"):
        parts = [drawn[s.name] for s in shapes]
    elif kind == "identity":
        parts = [_unit(s.shape, like) if s.is_matrix else like.new_zeros(s.shape) for s in shapes]
    else:
        parts = [like.new_zeros(s.shape) for s in shapes]
    if memory.net.kind == "vector":
        parts = [part[..., None] for part in parts]  # one column
    return tuple(part.expand(batch, *part.shape).clone() for part in parts)


def _unit(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return a rectangular unit matrix a head."""
    *heads, rows, columns = shape
    return torch.eye(rows, columns, dtype=like.dtype, device=like.device).expand(*heads, -1, -1)
