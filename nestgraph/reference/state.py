"""What a model remembers between positions, and its names (§11).

Outside, a state is one flat mapping from names to tensors: it goes into `torch.save` or
safetensors as it is. Inside, each memory has one of the two tuples below.

Names: `position` (how many tokens were read), `{layer}.{memory}.A0` the running state's first
part (matrices, input side first, then biases), `.anchor0` its anchor, `.S0` its momentum where
the rule has one, `.K0` what a task memory that erases was asked, `.kept` the retention since the
last tick where a gradient needs it, `.share` the factor of `reduce`, `.window_k`, `.window_v`,
`.window_rate`, `.window_delta` the events that an objective still counts; `.k` and `.v` the events
of attention, `.written` which were not skipped; `{layer}.{owner}.tail` a convolution's last inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from nestgraph.analysis.online_memories import erased_layers
from nestgraph.analysis.parameters import state_shapes
from nestgraph.language.system import Memory
from nestgraph.reference import coefficients, window
from nestgraph.reference.nets import Matrices
from nestgraph.reference.window import Window


class Learned(NamedTuple):
    """A memory that learns (§3): every tensor leads with (batch, heads).

    Attributes:
        running: A, moved by every event.
        anchor: Θ, where gradients are taken; moved at the ticks of the level.
        momentum: S; empty for a rule without momentum.
        window: past events that the objective still counts; None if it counts none.
        kept: Π α since the last tick, a factor as in `coefficients`, for `retain_first` on a
            level slower than `token`.
        share: c of the last position, (batch, heads); None where `reduce` is `sum`.
        grams: K, sums of a aᵀ over what layers of an online memory that erases were given since its
            last move, (batch, heads, in, in), for the first layers.
    """

    running: Matrices
    anchor: Matrices
    momentum: Matrices
    window: Window | None
    kept: Tensor | None
    share: Tensor | None
    grams: Matrices = ()


class Events(NamedTuple):
    """All that attention has seen: (batch, heads, events, width).

    Attributes:
        keys: of the events.
        values: of the events.
        written: (batch, events), those that were not skipped; (batch, 0) while all are.
    """

    keys: Tensor
    values: Tensor
    written: Tensor


MemoryState = Learned | Events
EVENTS = ("k", "v", "written")  # names of the parts of `Events`


def flat_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state by name, for comparing and saving."""
    return dict(state)


def has_momentum(memory: Memory) -> bool:
    """Return whether S outlives a position."""
    return memory.rule.momentum.number != 0


def has_share(memory: Memory) -> bool:
    """Return whether θ is more than A."""
    moved_once = memory.rule.reduce_is_flow or memory.rule.reduce != "sum"
    return moved_once and not memory.is_online  # an online memory has one state only


def keeps_retention(memory: Memory) -> bool:
    """Return whether retention is kept: with a tick at every position there is nothing to keep from
    one to the next.
    """
    return memory.rule.retain_first and memory.level.period != 1


def pack(prefix: str, memory: Memory, state: MemoryState) -> dict[str, Tensor]:
    """Return one memory's state under its public names."""
    if isinstance(state, Events):
        return {f"{prefix}.{name}": x for name, x in zip(EVENTS, state, strict=True)}
    return {f"{prefix}.{name}": tensor for name, tensor in _parts(memory, state)}


def _parts(memory: Memory, state: Learned) -> Iterator[tuple[str, Tensor]]:
    vector = memory.net.kind == "vector"
    for part, tensors in (("A", state.running), ("anchor", state.anchor), ("S", state.momentum)):
        for index, tensor in enumerate(tensors):
            yield f"{part}{index}", tensor[..., 0] if vector else tensor
    yield from ((f"K{index}", gram) for index, gram in enumerate(state.grams))
    if state.kept is not None:
        kept = state.kept.flatten(-2)
        yield "kept", kept[..., 0] if memory.rule.retain.per == "head" else kept
    if state.share is not None:
        yield "share", state.share
    if state.window is None:
        return
    if not vector:
        yield "window_k", state.window.keys
    yield "window_v", state.window.values
    yield "window_rate", state.window.rates
    if state.window.deltas is not None:
        yield "window_delta", state.window.deltas


def unpack(prefix: str, memory: Memory, state: Mapping[str, Tensor]) -> MemoryState:
    """Return the inverse of `pack`."""
    if memory.net.kind == "attention":
        return Events(*(state[f"{prefix}.{name}"] for name in EVENTS))

    def parts(name: str) -> Matrices:
        found = tuple(state[f"{prefix}.{name}{i}"] for i, _ in enumerate(state_shapes(memory)))
        return tuple(x[..., None] for x in found) if memory.net.kind == "vector" else found

    return Learned(
        running=parts("A"),
        anchor=parts("anchor"),
        momentum=parts("S") if has_momentum(memory) else (),
        window=_window(prefix, memory, state),
        kept=_kept(memory, state[f"{prefix}.kept"]) if keeps_retention(memory) else None,
        share=state[f"{prefix}.share"] if has_share(memory) else None,
        grams=tuple(state[f"{prefix}.K{i}"] for i in range(erased_layers(memory))),
    )


def _kept(memory: Memory, kept: Tensor) -> Tensor:
    retain = memory.rule.retain
    return coefficients.spread(memory, retain, kept[..., None] if retain.per == "head" else kept)


def _window(prefix: str, memory: Memory, state: Mapping[str, Tensor]) -> Window | None:
    if memory.objective.window == 1:
        return None
    values = state[f"{prefix}.window_v"]
    vector = memory.net.kind == "vector"
    return Window(
        keys=values.new_ones(*values.shape[:-1], 1) if vector else state[f"{prefix}.window_k"],
        values=values,
        rates=state[f"{prefix}.window_rate"],
        deltas=state[f"{prefix}.window_delta"] if window.keeps_deltas(memory) else None,
    )
