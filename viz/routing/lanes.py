"""Which lane of its street each net takes, so that wires cross as little as may be."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from nestgraph.viz.routing.passages import Net
from nestgraph.viz.routing.route import Lane

_MARGIN = 6


def stacked(lanes: Mapping[tuple[int, Net], Lane]) -> dict[tuple[int, Net], int]:
    """Return the lane of each net in each street, counted from above."""
    taken: dict[tuple[int, Net], int] = {}
    for street in sorted({street for street, _ in lanes}):
        here = {net: lane for (at, net), lane in lanes.items() if at == street}
        placed: list[tuple[Lane, int]] = []
        for net in _ordered(here):
            lane = here[net]
            level = max((at + 1 for other, at in placed if _meet(lane, other)), default=0)
            placed.append((lane, level))
            taken[street, net] = level
    return taken


def _ordered(lanes: Mapping[Net, Lane]) -> list[Net]:
    """Return nets from above to below: each net in turn goes where it adds the fewest crossings."""
    order: list[Net] = []
    for net in lanes:
        # Compared with the place above all others, going below each of them in turn.
        steps = (
            _crossings(lanes[other], lanes[net]) - _crossings(lanes[net], lanes[other])
            for other in order
        )
        costs = list(accumulate(steps, initial=0))
        order.insert(costs.index(min(costs)), net)
    return order


def _crossings(above: Lane, below: Lane) -> int:
    """Return how often two nets cross if one lies above the other."""
    down = sum(below.left < x < below.right for x in above.down)
    return down + sum(above.left < x < above.right for x in below.up)


def _meet(one: Lane, other: Lane) -> bool:
    return one.left - _MARGIN < other.right and other.left - _MARGIN < one.right
