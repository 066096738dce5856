"""What a model remembers between positions, and its names (§11).

Outside, a state is one flat mapping from names to tensors: it goes into `torch.save` or
safetensors as it is. Inside, each memory has one of the two tuples below.

Names: `position` (how many tokens were read), `{layer}.{memory}.A0` the running matrix of the
first net layer, `.anchor0` its anchor, `.S0` its momentum where the rule has one, `.kept` the
retention since the last tick where a gradient needs it; `.k` and `.v` the events of attention;
`{layer}.{owner}.tail` the last inputs of a convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from nestgraph.parameters import head_widths, state_shapes
from nestgraph.reference.nets import Matrices
from nestgraph.system import Memory


class Learned(NamedTuple):
    """A memory that learns (§3): every tensor leads with (batch, heads).

    Attributes:
        running: A, moved by every event.
        anchor: Θ, where gradients are taken; moved at the ticks of the level.
        momentum: S; empty for a rule without momentum.
        kept: Π α since the last tick, for `retain_first` on a level slower than `token`.
    """

    running: Matrices
    anchor: Matrices
    momentum: Matrices
    kept: Tensor | None


class Events(NamedTuple):
    """All that attention has seen: (batch, heads, events, width)."""

    keys: Tensor
    values: Tensor


MemoryState = Learned | Events


def flat_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state by name, for comparing and saving."""
    return dict(state)


def has_momentum(memory: Memory) -> bool:
    """Whether S outlives a position."""
    return memory.rule.momentum.number != 0


def first(memory: Memory, learned: Mapping[str, Tensor], batch: int, like: Tensor) -> MemoryState:
    """State at t = 0: A and Θ as `init` says, S zero, no events.

    Args:
        memory: whose state it is.
        learned: its parameters, by short name.
        batch: rows of the batch; each starts alike.
        like: a tensor of the wanted type and device.
    """
    if memory.net.kind == "attention":
        keys, values = (
            like.new_zeros(batch, memory.heads, 0, width) for width in head_widths(memory)
        )
        return Events(keys, values)
    shapes = state_shapes(memory)
    zeros = tuple(like.new_zeros(batch, *s.shape) for s in shapes)
    if memory.init.kind in ("learned", "fixed"):
        start = tuple(learned[s.name].expand(batch, *s.shape).clone() for s in shapes)
    else:
        start = zeros
    return Learned(
        running=start,
        anchor=start,
        momentum=zeros if has_momentum(memory) else (),
        kept=like.new_ones(batch, memory.heads) if _keeps_retention(memory) else None,
    )


def _keeps_retention(memory: Memory) -> bool:
    """With a tick at every position there is nothing to keep from one to the next."""
    return memory.rule.retain_first and memory.level.period != 1


def pack(prefix: str, state: MemoryState) -> dict[str, Tensor]:
    """One memory's state under its public names."""
    if isinstance(state, Events):
        return {f"{prefix}.k": state.keys, f"{prefix}.v": state.values}
    parts = {"A": state.running, "anchor": state.anchor, "S": state.momentum}
    named = {
        f"{prefix}.{part}{layer}": matrix
        for part, matrices in parts.items()
        for layer, matrix in enumerate(matrices)
    }
    return named if state.kept is None else {**named, f"{prefix}.kept": state.kept}


def unpack(prefix: str, memory: Memory, state: Mapping[str, Tensor]) -> MemoryState:
    """The inverse of `pack`."""
    if memory.net.kind == "attention":
        return Events(state[f"{prefix}.k"], state[f"{prefix}.v"])
    layers = range(len(state_shapes(memory)))
    return Learned(
        running=tuple(state[f"{prefix}.A{i}"] for i in layers),
        anchor=tuple(state[f"{prefix}.anchor{i}"] for i in layers),
        momentum=tuple(state[f"{prefix}.S{i}"] for i in layers if has_momentum(memory)),
        kept=state[f"{prefix}.kept"] if _keeps_retention(memory) else None,
    )
