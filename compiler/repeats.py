"""What layers of one kind and equal segments cost, from few of them.

A model of many layers of one kind (`alike.py`) costs what one costs, many times; a layer that
walks a sequence in equal segments costs as much for each, and as much for each group of them that
runs again for its backward. So one layer of each kind is counted, and of a long sequence a few
segments; a fourth count tells whether the first three foretell it, and if they don't, all of the
sequence is counted. Kinds that stand equally often, and have no segments to save, are counted
together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from nestgraph.analysis.online_memories import online_memories
from nestgraph.compiler.alike import cost_key
from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.language.system import Layer, Node, System

STEADY = ("anchored_chunk", "generic_scan", "static")  # cost as much at every segment


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Numbers that add up over layers and segments."""

    forward: int = 0
    backward: int = 0
    parameter_bytes: int = 0
    kept_bytes: int = 0

    def __add__(self, other: Counted) -> Counted:
        return self.plus(other, 1)

    def plus(self, other: Counted, times: int) -> Counted:
        """Return this and another one, so many times."""
        return Counted(
            forward=self.forward + times * other.forward,
            backward=self.backward + times * other.backward,
            parameter_bytes=self.parameter_bytes + times * other.parameter_bytes,
            kept_bytes=self.kept_bytes + times * other.kept_bytes,
        )


Count: TypeAlias = Callable[[System, int, int | None], Counted]
"""Counts a model over some tokens, its loops in groups of some segments (None: as they come)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """Layers that cost the same, and what the first of them computes."""

    layers: tuple[Layer, ...]
    function: Function


def kinds_of_layers(system: System, program: Program) -> tuple[Kind, ...]:
    """Return the layers of a model, those of one kind together."""
    assert system.model is not None
    by_path = {layer.path: layer for layer in system.model.layers}
    alike: dict[Hashable, list[Function]] = {}
    for function in program.functions:
        alike.setdefault(cost_key(function), []).append(function)
    return tuple(
        Kind(
            layers=tuple(by_path[path] for one in functions for path in one.paths),
            function=functions[0],
        )
        for functions in alike.values()
    )


def with_layers(system: System, *layers: Layer) -> System:
    """Return the model with other layers."""
    assert system.model is not None
    return replace(system, model=replace(system.model, layers=layers))


def adds_up(system: System) -> bool:
    """Return whether layers cost as much beside others as alone.

    Not where the loss moves a memory within the forward, whose gradient goes through the others,
    nor where layers share a table of angles (`rope`).
    """
    assert system.model is not None
    nodes = (node for layer in system.model.layers for node in layer.block.nodes.values())
    turned = any(isinstance(node, Node) and node.op == "rope" for node in nodes)
    return not turned and not any(True for _ in online_memories(system.model))


def counted(system: System, kinds: Sequence[Kind], tokens: int, count: Count) -> Counted:
    """Return what a model costs whose layers add up."""
    bare = count(with_layers(system), tokens, None)
    total, whole = bare, dict[int, list[Layer]]()
    for kind in kinds:
        first, *others = kind.layers
        segment = _segment(kind.function, tokens)
        if not _is_long(tokens, segment):
            whole.setdefault(1 + len(others), []).append(first)
            continue
        one = _over_time(with_layers(system, first), tokens, segment, count)
        total = total.plus(one.plus(bare, -1), 1 + len(others))
    for times, layers in whole.items():
        few = count(with_layers(system, *layers), tokens, None)
        total = total.plus(few.plus(bare, -1), times)
    return total


def _is_long(tokens: int, segment: int) -> bool:
    """Return whether a few of its segments are much less than all of a sequence."""
    return segment > 0 and tokens // segment > 16


def _over_time(system: System, tokens: int, segment: int, count: Count) -> Counted:
    """Return a count of all tokens, from that of few where their segments are known to be equal."""
    from nestgraph.ops.scan.checkpointed_loop import group_size

    segments = tokens // segment
    if group := group_size(segments):
        return _in_groups(system, segments, segment, group, count)
    two, three, four = (count(system, n * segment, None) for n in (2, 3, 4))
    each = three.plus(two, -1)
    if four != three + each:
        return count(system, tokens, None)
    return two.plus(each, segments - 2)


def _in_groups(system: System, segments: int, segment: int, group: int, count: Count) -> Counted:
    def over(groups: int, size: int) -> Counted:
        return count(system, groups * size * segment, size)

    start, longer, more, both = over(2, 2), over(2, 3), over(3, 2), over(3, 3)
    twice = longer.plus(start, -1)  # two segments more
    extra = more.plus(longer, -1)  # one group more, for as many segments
    odd = any(number % 2 for number in (twice.forward, twice.backward, twice.kept_bytes))
    if odd:
        return count(system, segments * segment, None)
    each = Counted(
        forward=twice.forward // 2,
        backward=twice.backward // 2,
        parameter_bytes=0,
        kept_bytes=twice.kept_bytes // 2,
    )
    if both != more.plus(each, 3):
        return count(system, segments * segment, None)
    groups = math.ceil(segments / group)
    return start.plus(each, segments - 4).plus(extra, groups - 2)


def _segment(function: Function, tokens: int) -> int:
    """Return the tokens of each segment of a layer's loops; 0 where they differ, or aren't all."""
    segment = _segment_of(function)
    return segment if segment and tokens % segment == 0 else 0


def _segment_of(function: Function) -> int:
    loops = function.of_kind("loop")
    lengths = {_length(loop) for loop in loops}
    kernels = {memory.text("kernel") for memory in function.of_kind("memory")}
    steady = kernels <= set(STEADY) and len(lengths) == 1
    return lengths.pop() if steady else 0


def _length(loop: Op) -> int:
    periods, longest = loop.attrs["periods"], loop.integer("longest")
    assert isinstance(periods, tuple)
    if loop.flag("whole") or len(periods) > 1:
        return 0
    (period,) = periods or (longest,)
    whole = period == longest or (longest > 1 and int(str(period)) <= longest)
    return int(str(period)) if whole else 0
