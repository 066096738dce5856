"""Where wires may pass: what is taken in each street, and the gaps between the boxes of bands.

A picture of some hundred boxes asks this a million times, so that both are kept sorted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

Net = tuple[str, ...]

APART = 7  # between wires side by side


class Claims:
    """Who holds which places of one street."""

    def __init__(self) -> None:
        self._by_stretch: dict[int, list[tuple[int, Net]]] = {}
        self._by_net: dict[Net, list[int]] = {}

    def add(self, x: int, net: Net) -> None:
        """Take a place for a net."""
        self._by_stretch.setdefault(x // APART, []).append((x, net))
        self._by_net.setdefault(net, []).append(x)

    def of(self, net: Net) -> Sequence[int]:
        """Return the places of a net, in the order in which it took them."""
        return self._by_net.get(net, ())

    def free(self, x: int, net: Net) -> bool:
        """Return whether no other net is too near to a place."""
        stretch = x // APART
        return all(
            other == net or abs(x - taken) >= APART
            for near in (stretch - 1, stretch, stretch + 1)
            for taken, other in self._by_stretch.get(near, ())
        )


class Gaps:
    """The places between some boxes, and those beside them that are worth a try."""

    def __init__(self, boxes: Iterable[tuple[int, int]], leftmost: int) -> None:
        walls = sorted(boxes)
        self._leftmost = leftmost
        self._starts: list[int] = []
        self._ends: list[int] = []
        for left, right in walls:
            if self._ends and left < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], right)
            else:
                self._starts.append(left)
                self._ends.append(right)
        tried = {left - shift * APART for left, _ in walls for shift in range(3)}
        tried |= {right + shift * APART for _, right in walls for shift in range(3)}
        self._tried = sorted(x for x in tried if self.clear(x))

    def clear(self, x: int) -> bool:
        """Return whether no box stands at a place."""
        at = bisect_left(self._starts, x) - 1  # the last wall that begins before it
        return x >= self._leftmost and (at < 0 or x >= self._ends[at])

    def outward(self, start: int) -> Iterator[int]:
        """Yield places to try, the nearest first."""
        tried = self._tried
        right = bisect_left(tried, start)
        left = right - 1
        while left >= 0 or right < len(tried):
            if left < 0 or (right < len(tried) and tried[right] - start < start - tried[left]):
                yield tried[right]
                right += 1
            else:
                yield tried[left]
                left -= 1
