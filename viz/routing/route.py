"""Which way wires go: straight up where they can, else along streets between the bands.

A street lies above each band and below the last one. A wire leaves its box to a street, runs
along a lane of it, goes through other bands where they are free, along a lane again, and into
the box where it ends. All wires of one kind from one box share lanes and trunks. Here only the
horizontal places are decided; lanes get their heights in `layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from nestgraph.viz.flows.sources import STREAM
from nestgraph.viz.flows.view import View, Wire
from nestgraph.viz.routing.passages import APART, Claims, Gaps, Net
from nestgraph.viz.routing.place import MARGIN, Places, Slot

_CLEAR = 8  # between a wire and a box that it passes
_INSET = 12  # between a wire and the corner of the box where it starts or ends
_STUB = 12  # how far a wire that leaves at the side goes before it turns
_BEND = 24  # how much longer a way may be if it saves a bend
_EVERYWHERE = 10**6
_SHARES = {"flow": 50, "task": 72, "init": 90}  # where wires come in from above, in hundredths

KINDS = ("flow", "write", "rate", "task", "init")

Side = Literal["top", "bottom", "strip", "middle", "box", "side", "stream", "lane"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Height:
    """A height that is known once all bands have theirs.

    Attributes:
        side: of the group (`top`, `bottom`, `middle`, `side` for its right one), of its
            `strip`, of one `box` in it; of the `stream`; or a `lane`.
        slot: the group.
        index: the box within the group, or a shift along the side.
        lane: street and net.
    """

    side: Side
    slot: Slot | None = None
    index: int = 0
    lane: tuple[int, Net] | None = None


Corner = tuple[int, Height]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """The corners of a wire."""

    wire: Wire
    corners: tuple[Corner, ...]


@dataclass(slots=True)
class Lane:
    """What one net does in one street: where it runs, and where it goes up or down."""

    left: int
    right: int
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """Where a wire may start or end: a stretch of a side that faces a street."""

    street: int
    above: bool  # the side lies above its street
    low: int
    high: int
    wish: int
    height: Height

    def holds(self, x: int) -> bool:
        return self.low <= x <= self.high


class Router:
    """Routes the wires of a view one after the other.

    After the last of them `lanes` is complete, and `crowded` says whether some wires found no
    way of their own between two groups.
    """

    def __init__(self, view: View, places: Places) -> None:
        self.lanes: dict[tuple[int, Net], Lane] = {}
        self.crowded = False
        self._view = view
        self._places = places
        self._claimed = [Claims() for _ in range(places.bands + 1)]
        self._known_gaps: dict[tuple[int, int], Gaps] = {}
        self._trunks: dict[Net, list[tuple[int, int, int]]] = {}
        self._home = {
            box.box.id: (slot, index)
            for slot in places.slots
            for index, box in enumerate(slot.size.boxes)
        }
        self._groups = {slot.size.group.id: slot for slot in places.slots}

    def routes(self) -> tuple[Route, ...]:
        """Return routes of all wires that leave their group; the others stay inside their frame."""
        outside = [wire for wire in self._view.wires if not self._inside(wire)]
        outside.sort(key=self._turn)
        return tuple(Route(wire=wire, corners=tuple(self._corners(wire))) for wire in outside)

    def _turn(self, wire: Wire) -> tuple[int, int]:
        """Sort edges: context flow takes the straight ways; of each kind the farthest wire goes
        first.
        """
        target = self._target(wire).band
        source = self._places.bands if wire.source == STREAM else self._home[wire.source][0].band
        return KINDS.index(wire.kind), -abs(source - target)

    def _inside(self, wire: Wire) -> bool:
        target = self._groups.get(wire.target)
        framed = target is not None and target.size.group.framed
        return framed and wire.source != STREAM and self._home[wire.source][0] is target

    def _target(self, wire: Wire) -> Slot:
        name = wire.target
        return self._groups[name] if name in self._groups else self._home[name][0]

    def _corners(self, wire: Wire) -> Iterator[Corner]:
        if self._beside(wire):
            source, target = self._home[wire.source][0], self._target(wire)
            yield source.right, Height(side="middle", slot=source)
            yield target.left, Height(side="middle", slot=target)
            return
        net = _net(wire)
        end = self._end(wire)
        start = self._start(wire, end)
        goal = self._pick(net, end)
        if start.street == end.street:
            x = goal if start.holds(goal) else self._pick(net, start)
            yield from self._leave(start, x)
            yield from self._lane(net, start.street, (x, start.above), (goal, end.above))
        else:
            trunk = self._trunk(net, start, end, goal)
            x = trunk if start.holds(trunk) else self._pick(net, start)
            rising = end.street < start.street
            yield from self._leave(start, x)
            yield from self._lane(net, start.street, (x, start.above), (trunk, rising))
            yield from self._lane(net, end.street, (trunk, not rising), (goal, end.above))
        yield goal, end.height

    def _leave(self, start: _End, x: int) -> Iterator[Corner]:
        if start.height.side == "side" and start.height.slot is not None:
            yield start.height.slot.right, start.height
        yield x, start.height

    def _beside(self, wire: Wire) -> bool:
        """Return whether a wire just crosses the gap to the next group."""
        if wire.source == STREAM or wire.cell:
            return False
        source, target = self._home[wire.source][0], self._target(wire)
        row = list(self._places.in_band(source.band))
        after = row.index(source) + 1
        return after < len(row) and row[after] is target

    def _end(self, wire: Wire) -> _End:
        slot = self._target(wire)
        if wire.cell:
            low, high = dict(slot.cell_spans())[wire.cell]
            return _below(slot, low + 5, high - 5, Height(side="strip", slot=slot))
        low, high = slot.left + _INSET, slot.right - _INSET
        from_above = wire.source != STREAM and self._home[wire.source][0].band < slot.band
        if wire.kind == "flow" and not from_above:
            return _below(slot, low, high, Height(side="bottom", slot=slot))
        wish = low + (high - low) * _SHARES[wire.kind] // 100
        if slot.size.group.framed:
            wish = min(max(self._home[wire.source][0].middle, low), high)
        return _End(
            street=slot.band,
            above=False,
            low=low,
            high=high,
            wish=wish,
            height=Height(side="top", slot=slot),
        )

    def _start(self, wire: Wire, end: _End) -> _End:
        if wire.source == STREAM:
            return _End(
                street=self._places.bands,
                above=False,
                low=0,
                high=_EVERYWHERE,
                wish=end.wish,
                height=Height(side="stream"),
            )
        slot, index = self._home[wire.source]
        left, right = slot.box_span(slot.size.boxes[index])
        low, high = left + _INSET, right - _INSET
        if end.street <= slot.band:
            return _End(
                street=slot.band,
                above=False,
                low=low,
                high=high,
                wish=(low + high) // 2,
                height=Height(side="box", slot=slot, index=index),
            )
        if slot.size.strip is None:
            return _below(slot, low, high, Height(side="bottom", slot=slot))
        # The input farthest left has the outermost way round.
        shift = min(KINDS.index(wire.kind), 2)
        nearest = slot.right + _STUB
        side = Height(side="side", slot=slot, index=shift + 3 * index)
        wish = nearest + APART * (2 - shift)
        farthest = slot.right + self._places.gap - _CLEAR
        return _below(slot, nearest, farthest, side, wish=wish)

    def _lane(
        self, net: Net, street: int, first: tuple[int, bool], second: tuple[int, bool]
    ) -> Iterator[Corner]:
        """Yield a run along a street; each end says whether the wire goes up from there."""
        places = [first[0], second[0]]
        for x in places:
            self._claimed[street].add(x, net)
        if first[0] == second[0]:
            return
        lane = self.lanes.setdefault((street, net), Lane(min(places), max(places)))
        lane.left, lane.right = min(lane.left, *places), max(lane.right, *places)
        for x, up in (first, second):
            (lane.up if up else lane.down).append(x)
        height = Height(side="lane", lane=(street, net))
        yield first[0], height
        yield second[0], height

    def _trunk(self, net: Net, start: _End, end: _End, goal: int) -> int:
        """Return where a wire passes the bands between its two streets."""
        first, last = sorted((start.street, end.street))
        for x, low, high in self._trunks.get(net, ()):
            if low <= first and last <= high:
                return x

        def cost(x: int) -> tuple[int, int]:
            out = 0 if start.holds(x) else abs(x - start.wish) + _BEND
            return out + abs(x - goal) + (0 if x == goal else _BEND), x

        trunk = min(self._passages(net, first, last, (goal, start.wish), cost), key=cost)
        self._trunks.setdefault(net, []).append((trunk, first, last))
        for street in range(first, last + 1):
            self._claimed[street].add(trunk, net)
        return trunk

    def _passages(
        self,
        net: Net,
        first: int,
        last: int,
        wishes: tuple[int, int],
        cost: Callable[[int], tuple[int, int]],
    ) -> Iterator[int]:
        """Yield places where nothing stands between two streets, one of them the cheapest."""
        gaps, goal = self._gaps(first, last), wishes[0]
        x = self._places.right + 2 * _CLEAR  # to the right of everything there is always room
        while not self._free(net, x, first, last):
            x += APART
        yield x
        best = cost(x)
        for x in sorted({wish + shift * APART for wish in wishes for shift in range(-3, 4)}):
            if cost(x) < best and gaps.clear(x) and self._free(net, x, first, last):
                best = cost(x)
                yield x
        for x in gaps.outward(goal):
            if abs(x - goal) > best[0]:
                return
            if cost(x) < best and self._free(net, x, first, last):
                best = cost(x)
                yield x

    def _gaps(self, first: int, last: int) -> Gaps:
        if (first, last) not in self._known_gaps:
            boxes = (
                (slot.left - _CLEAR, slot.right + _CLEAR)
                for band in range(first, last)
                for slot in self._places.in_band(band)
            )
            leftmost = MARGIN + self._places.title_width + _CLEAR
            self._known_gaps[first, last] = Gaps(boxes, leftmost)
        return self._known_gaps[first, last]

    def _pick(self, net: Net, end: _End) -> int:
        """Return where the net meets an end already, else the free place nearest to the end's
        wish.
        """
        for x in self._claimed[end.street].of(net):
            if end.holds(x):
                return x
        tried = [end.wish + sign * shift for shift in range(0, 200, APART) for sign in (1, -1)]
        free = (x for x in tried if end.holds(x) and self._free(net, x, end.street, end.street))
        found = next(free, None)
        self.crowded |= found is None and end.height.side == "side"
        return end.wish if found is None else found

    def _free(self, net: Net, x: int, first: int, last: int) -> bool:
        return all(self._claimed[street].free(x, net) for street in range(first, last + 1))


def _below(slot: Slot, low: int, high: int, height: Height, wish: int | None = None) -> _End:
    """Return an end at the bottom of a group."""
    middle = (low + high) // 2
    return _End(
        street=slot.band + 1,
        above=True,
        low=low,
        high=high,
        wish=middle if wish is None else wish,
        height=height,
    )


def _net(wire: Wire) -> Net:
    """Return whether wires may lie on each other: those of one net may."""
    if wire.source == STREAM:
        return wire.source, wire.kind, wire.target, wire.cell
    return wire.source, wire.kind
