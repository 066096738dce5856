"""How a loop walks a sequence: segment by segment, cut at every tick.

Positions are absolute, so that a sequence split anywhere meets the same ticks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from torch import Tensor


def segments(
    start: int, length: int, periods: tuple[int, ...], longest: int, *, whole: bool = False
) -> Iterator[tuple[int, int, tuple[bool, ...]]]:
    """Cut `length` positions, the first of them at absolute index `start`, at every tick.

    Args:
        start: positions that came before, 0 at the beginning.
        length: positions of this piece.
        periods: the ticks' periods in tokens; a memory commits behind every `period` positions.
        longest: the most positions in one segment.
        whole: whether one that begins at a tick may hold several whole periods; there is one
            clock then.

    Yields:
        (begin, end, due): positions begin..end-1 of the piece, and for each period whether
        it ticks right before `begin`.
    """
    begin = 0
    while begin < length:
        now = start + begin
        to_ticks = [period - now % period for period in periods]
        end = min([length, begin + longest, *(begin + gap for gap in to_ticks)])
        if whole and now % periods[0] == 0 and end - begin == periods[0]:
            count = min(longest, length - begin) // periods[0]
            end = begin + count * periods[0]
        yield begin, end, tuple((start + end) % period == 0 for period in periods)
        begin = end


@overload
def pieces(
    x: Tensor, axis: int, cuts: Sequence[tuple[int, int, tuple[bool, ...]]]
) -> dict[int, Tensor]: ...
@overload
def pieces(
    x: None, axis: int, cuts: Sequence[tuple[int, int, tuple[bool, ...]]]
) -> dict[int, None]: ...
def pieces(
    x: Tensor | None, axis: int, cuts: Sequence[tuple[int, int, tuple[bool, ...]]]
) -> dict[int, Tensor] | dict[int, None]:
    """Return a flow's part in every segment, by the segment's begin.

    One split for all: the gradient of a slice is as long as the whole flow, so that slicing
    segment by segment would cost the square of the length.

    Args:
        x: a flow; None where there is none, which is no flow in every segment.
        axis: its axis of time.
        cuts: of `segments`, which together cover the flow.
    """
    if x is None:
        return {begin: None for begin, _, _ in cuts}
    parts = x.split([end - begin for begin, end, _ in cuts], axis)
    return {begin: part for (begin, _, _), part in zip(cuts, parts, strict=True)}
