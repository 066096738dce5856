"""What a block of an optimizer does at each step, worked out once.

The program knows when each flow ticks, how often each is taken, which flows stay the same between
ticks (those are kept, not computed again), and what must be remembered of each parameter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nestgraph.analysis.optimizer_flows import Shape, has_rows, shapes, sides
from nestgraph.compiler.optimizers.ticks import NONE, STEPS, Ticks, ends_of
from nestgraph.language.system import Clock, FlatBlock, Memory, Node, Read
from nestgraph.shapes.flows import memory_flows

INPUT = "input"


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """How one memory runs.

    Attributes:
        memory: what it is.
        writes: the steps at which it is written.
        anchored: whether its anchor differs from its running state between ticks.
        has_momentum: whether S must be remembered.
    """

    memory: Memory
    writes: Ticks
    anchored: bool
    has_momentum: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A block with all that is known before the first step.

    Attributes:
        block: what runs.
        clocks: the levels of its optimizer.
        param: the memory that is the parameter.
        memories: how each runs.
        ticks: of each flow.
        uses: how often each flow is taken in a step.
        steady: flows that stay the same between their ticks.
        held: those of them that a flow of each step takes, so that their value is kept.
        pools: nodes that pool.
        lasting: those of them whose last value is asked for between their ticks.
        shapes: of each flow, by symbols.
        sides: shapes of each memory's keys and values.
        rows: whether it knows rows and channels, not only cells.
        reads_input: whether it asks what the layer was fed.
    """

    block: FlatBlock
    clocks: Mapping[str, Clock]
    param: str
    memories: Mapping[str, MemoryPlan]
    ticks: Mapping[str, Ticks]
    uses: Mapping[str, int]
    steady: frozenset[str]
    held: frozenset[str]
    pools: tuple[Node, ...]
    lasting: frozenset[str]
    shapes: Mapping[str, Shape]
    sides: Mapping[str, tuple[Shape | None, Shape | None]]
    rows: bool
    reads_input: bool


def build_program(block: FlatBlock, clocks: Mapping[str, Clock]) -> Program:
    """Return the program of a block that the checks have passed."""
    (param,) = (m.name for m in block.memories.values() if m.init.kind == "given")
    timing = _Timing(block, clocks)
    steady = frozenset(_steady(block, timing.flows))
    plans = {name: _plan(memory, timing) for name, memory in block.memories.items()}
    pools = tuple(n for n in block.nodes.values() if isinstance(n, Node) and n.op == "pool")
    known = shapes(block)
    return Program(
        block=block,
        clocks=clocks,
        param=param,
        memories=plans,
        ticks=timing.flows,
        uses=Counter(_taken(block)),
        steady=steady,
        held=frozenset(_held(block, steady, plans)),
        pools=pools,
        lasting=frozenset(n.name for n in pools if _lasts(block, plans, n, timing.flows)),
        shapes=known,
        sides={name: sides(memory, known) for name, memory in block.memories.items()},
        rows=has_rows(block),
        reads_input=INPUT in block.inputs,
    )


def describe(program: Program) -> tuple[str, ...]:
    """Return the program as lines of text: what runs at which steps."""
    lines = []
    for plan in program.memories.values():
        what: str = "the parameter" if plan.memory.name == program.param else plan.memory.net.kind
        how = ", anchored" if plan.anchored else ""
        lines.append(f"memory {plan.memory.name}: {what}, written {_when(plan.writes)}{how}")
    for name, node in program.block.nodes.items():
        what = f"read {node.memory} {node.at}" if isinstance(node, Read) else node.op
        kept = ", kept" if name in program.held else ""
        lines.append(f"flow {name}: {what}, {_when(program.ticks[name])}{kept}")
    return tuple(lines)


def _when(ticks: Ticks) -> str:
    if not ticks.clocks:
        return "a number"
    if ticks.every_step:
        return "every step"
    return " and ".join(
        f"every {period} steps" + (f" ({delay:+})" if delay else "")
        for period, delay in sorted(ticks.clocks)
    )


class _Timing:
    """Ticks of all flows and writes: the fewest that explain each other.

    A memory may hear of its own last write, so they are grown from none at all until nothing is
    missing.
    """

    def __init__(self, block: FlatBlock, clocks: Mapping[str, Clock]) -> None:
        self.block = block
        self.clocks = clocks
        self.flows: dict[str, Ticks] = {"lr": NONE, "grad": STEPS, INPUT: STEPS}
        self.flows |= dict.fromkeys(block.nodes, NONE)
        self.writes = dict.fromkeys(block.memories, NONE)
        self.echoes = {
            name for name, memory in block.memories.items() if self._hears_itself(memory)
        }
        while self._grow():
            pass

    def _grow(self) -> bool:
        """Return one round; whether it found more ticks."""
        before = {**self.flows}, {**self.writes}
        for name, node in self.block.nodes.items():
            self.flows[name] = self._read(node) if isinstance(node, Read) else self._op(node)
        for memory in self.block.memories.values():
            self.writes[memory.name] = self._write(memory)
        return before != (self.flows, self.writes)

    def _op(self, node: Node) -> Ticks:
        if node.op == "pool":
            return ends_of(self.clocks[str(node.fields["level"])].period)
        return self._any(node.inputs)

    def _read(self, read: Read) -> Ticks:
        memory = self.block.memories[read.memory]
        asked = NONE if read.query is None else self.flows[read.query]
        if read.at == "boundary":
            commits = ends_of(memory.level.period).later() if memory.level.period else NONE
            return asked | commits
        writes = self.writes[read.memory]
        return asked | (writes.later() if read.at == "before" else writes)

    def _write(self, memory: Memory) -> Ticks:
        found = self._any(_events(memory))
        if _waits(memory):
            return found.at_ends_of(memory.level.period)
        return found.onwards() if memory.name in self.echoes else found

    def _any(self, flows: Iterable[str]) -> Ticks:
        found = NONE
        for name in flows:
            found |= self.flows[name]
        return found

    def _hears_itself(self, memory: Memory) -> bool:
        """Return whether each write makes the next step's events fresh, so that it never rests
        again.
        """
        if _waits(memory):
            return False
        waiting, seen = list(_events(memory)), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.block.nodes:
                continue
            seen.add(name)
            node = self.block.nodes[name]
            if isinstance(node, Node):
                waiting += node.inputs if node.op != "pool" else ()
                continue
            if node.at == "before" and node.memory == memory.name:
                return True
            waiting += [] if node.query is None else [node.query]
            other = self.block.memories[node.memory]
            waiting += _events(other) if node.at == "after" and not _waits(other) else ()
        return False


def _waits(memory: Memory) -> bool:
    """Return whether it is written at ticks of its level alone: the parameter on a slow clock."""
    return memory.objective.kind == "task" and memory.level.period > 1


def _events(memory: Memory) -> tuple[str, ...]:
    """Return the flows whose ticks let a memory learn."""
    if memory.objective.kind == "task":
        return (memory.objective.through or "grad",)
    return (*memory.keys, *memory.values)


def _plan(memory: Memory, timing: _Timing) -> MemoryPlan:
    writes = timing.writes[memory.name]
    period = memory.level.period
    single = period != 0 and writes.within(period)
    return MemoryPlan(
        memory=memory,
        writes=writes,
        anchored=not single,
        has_momentum=memory.rule.momentum.number != 0,
    )


def _steady(block: FlatBlock, ticks: Mapping[str, Ticks]) -> Iterator[str]:
    """Yield flows that no number of the step (a rate) enters and that don't tick at each step."""
    varying = {"lr"}
    grew = True
    while grew:
        before = len(varying)
        for name, node in block.nodes.items():
            inputs = node.inputs if isinstance(node, Node) else (node.query,)
            if any(flow in varying for flow in inputs):
                varying.add(name)
        grew = len(varying) > before
    for name in block.nodes:
        if name not in varying and ticks[name].clocks and not ticks[name].every_step:
            yield name


def _held(
    block: FlatBlock, steady: frozenset[str], plans: Mapping[str, MemoryPlan]
) -> Iterator[str]:
    """Yield steady flows that something of each step takes."""
    for name, node in block.nodes.items():
        inputs = node.inputs if isinstance(node, Node) else (node.query or "",)
        if name not in steady:
            yield from (flow for flow in inputs if flow in steady and _costs(block, flow))
    for plan in plans.values():
        if plan.writes.every_step:
            flows = (flow for _, flow in memory_flows(plan.memory))
            yield from (flow for flow in flows if flow in steady and _costs(block, flow))


def _costs(block: FlatBlock, name: str) -> bool:
    """Return whether a flow is worth keeping: a state and a pooled sum are kept anyway."""
    node = block.nodes[name]
    return node.query is not None if isinstance(node, Read) else node.op != "pool"


def _lasts(
    block: FlatBlock, plans: Mapping[str, MemoryPlan], pool: Node, ticks: Mapping[str, Ticks]
) -> bool:
    asked = any(
        pool.name in (node.inputs if isinstance(node, Node) else (node.query,))
        for node in block.nodes.values()
    )
    return asked or any(
        plan.writes != ticks[pool.name]
        for plan in plans.values()
        if pool.name in [flow for _, flow in memory_flows(plan.memory)]
    )


def _taken(block: FlatBlock) -> Iterator[str]:
    for node in block.nodes.values():
        yield from node.inputs if isinstance(node, Node) else (node.query or "",)
    for memory in block.memories.values():
        yield from (flow for _, flow in memory_flows(memory))
