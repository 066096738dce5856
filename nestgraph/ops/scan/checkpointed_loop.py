"""A loop over the segments of a sequence, which a long sequence runs twice to keep less.

A loop keeps for its backward what every segment made, so that its memory grows with time, and
fast where states are large. Beyond some length only the states between groups of segments are
kept, and each group runs again when its backward comes: N segments in groups of √N keep the
memory of 2√N, for one more forward (Chen et al., arXiv 1604.06174).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nestgraph.ops.fused.gifts import keep_private

Segment: TypeAlias = tuple[int, int, tuple[bool, ...]]
Body: TypeAlias = Callable[..., tuple[tuple[Tensor, ...], tuple[Any, ...]]]

MOST_KEPT = 128  # segments of which everything is kept
_GROUPS: ContextVar[int | None] = ContextVar("groups", default=None)


@contextmanager
def in_groups_of(size: int) -> Iterator[None]:
    """Provide a context within which loops run again in groups of some segments, however many they
    have.

    For measurements, which learn from few segments what many cost.
    """
    token = _GROUPS.set(size)
    try:
        yield
    finally:
        _GROUPS.reset(token)


def group_size(segments: int) -> int:
    """Return how many of so many segments run again together; 0 where everything is kept."""
    return 0 if segments <= MOST_KEPT else math.ceil(math.sqrt(segments))


def checkpointed_loop(
    body: Body, segments: Iterable[Segment], states: tuple[Any, ...]
) -> tuple[list[Tensor], tuple[Any, ...]]:
    """Run a body over all segments.

    Args:
        body: takes begin, end and due of a segment and the states before it; returns flows
            (B, T of the segment, ...) and the states behind it.
        segments: at least one.
        states: before the first segment.

    Returns:
        The flows of all segments joined along time, and the last states.
    """
    listed = list(segments)
    wanted = _GROUPS.get()
    size = group_size(len(listed)) if wanted is None else wanted
    if not torch.is_grad_enabled() or not size:
        return _run(body, listed, states)
    parts: list[list[Tensor]] = []
    for first in range(0, len(listed), size):
        group = listed[first : first + size]
        flows, states = checkpoint(
            _run, body, group, states, use_reentrant=False, preserve_rng_state=False
        )
        parts.append(flows)
    return [torch.cat(flow, 1) for flow in zip(*parts, strict=True)], states


def _run(
    body: Body, segments: Sequence[Segment], states: tuple[Any, ...]
) -> tuple[list[Tensor], tuple[Any, ...]]:
    pieces: list[tuple[Tensor, ...]] = []
    for index, (begin, end, due) in enumerate(segments, 1):
        flows, states = body(begin, end, due, *states)
        pieces.append(flows)
        # What lies between two segments nobody else sees; the last states are the caller's.
        keep_private(_tensors(states), index < len(segments))
    return [torch.cat(flow, 1) for flow in zip(*pieces, strict=True)], states


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple):
        for part in tree:
            yield from _tensors(part)
