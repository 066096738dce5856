"""Widths of every flow and memory of one block, found by propagation.

Flows of a loop depend on each other (a memory may make its own keys), so widths spread until
nothing moves. Where they stop short, a sum is as wide as the inputs that are known, and, failing
that, a memory answers as wide as its keys. What depends on a mismatch stays unknown, so that one
mistake is reported once.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from nestgraph.errors import Diagnostic
from nestgraph.language.system import FlatBlock, Memory, Node, Read
from nestgraph.shapes.flows import Flow, key_side, reads_by_memory, value_side
from nestgraph.shapes.mismatch import Mismatch
from nestgraph.shapes.ops import N_ARY, fixed_width, op_width


@dataclass(slots=True)
class Solution:
    """Widths by name; what can't be known is absent. `broken` flows follow from a mismatch."""

    flows: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)


def solve(block: FlatBlock, width: int) -> Solution:
    """Return all widths of `block` when each of its inputs has `width`."""
    solver = _Solver(block, width)
    solver.run()
    return solver.solution


def op_mismatches(block: FlatBlock, solution: Solution) -> Iterator[Diagnostic]:
    """Yield nodes whose known inputs don't fit their op."""
    for node in block.nodes.values():
        if isinstance(node, Read) or any(flow not in solution.flows for flow in node.inputs):
            continue
        answer = op_width(node, tuple(solution.flows[flow] for flow in node.inputs))
        if isinstance(answer, Mismatch):
            yield answer.at(node.spans.get(answer.field) or node.span)


def undetermined(block: FlatBlock, solution: Solution) -> Iterator[Diagnostic]:
    """Yield memories that nothing of a known width ever reaches, so that their own is open."""
    if solution.broken:
        return
    for memory in block.memories.values():
        vector = memory.net.kind == "vector"
        cure = "give it values" if vector else "ask it, or key it, with a flow"
        if memory.name not in (solution.values if vector else solution.keys):
            yield Diagnostic(
                code="NG230",
                message=f"the width of `{memory.name}` depends only on its own answers",
                hint=f"{cure} that {'come' if vector else 'comes'} from the block's input",
                span=memory.span,
            )


class _Solver:
    """Looks at a node or memory again whenever something that it depends on becomes known."""

    def __init__(self, block: FlatBlock, width: int) -> None:
        self.block = block
        self.solution = Solution(flows=dict.fromkeys(block.inputs, width))
        reads = reads_by_memory(block)
        self.entering = {m.name: key_side(m, reads) for m in block.memories.values()}
        self.leaving = {m.name: value_side(m) for m in block.memories.values()}
        self.todo = deque([*block.memories, *block.nodes])
        self.open_nodes: dict[str, Node] = {}  # some but not all inputs known; in order
        self.open_memories: dict[str, None] = {}  # keys but not values known
        self.waiting: defaultdict[str, list[str]] = defaultdict(list)
        self._register()

    def _register(self) -> None:
        for node in self.block.nodes.values():
            for source in (node.memory,) if isinstance(node, Read) else node.inputs:
                self.waiting[source].append(node.name)
        for memory in self.block.memories.values():
            for _, flow, _ in (*self.entering[memory.name], *self.leaving[memory.name]):
                self.waiting[flow].append(memory.name)
            if memory.init.memory is not None:
                self.waiting[memory.name].append(memory.init.memory)

    def run(self) -> None:
        """Spread and decides until nothing is left to learn."""
        self._spread()
        while self._decide():
            self._spread()
        for name in self.solution.keys:
            # Whatever was known first, a misfit is told from the keys' point of view.
            self.solution.keys[name] = self._first(self.entering[name]) or self.solution.keys[name]

    def _spread(self) -> None:
        while self.todo:
            name = self.todo.popleft()
            memory = self.block.memories.get(name)
            if self._memory(memory) if memory is not None else self._flow(name):
                self.todo += self.waiting[name]

    def _memory(self, memory: Memory) -> bool:
        """Look at a memory; whether anything about it was learnt."""
        keys, values, name = self.solution.keys, self.solution.values, memory.name
        before = (name in keys, name in values)
        if before == (True, True):
            return False
        if not self.entering[name] and not self.leaving[name]:
            self._take_from_starters(memory)
        else:
            self._take_from_flows(memory)
        if name in keys and name not in values:
            self.open_memories[name] = None
        return before != (name in keys, name in values)

    def _take_from_flows(self, memory: Memory) -> None:
        keys, name = self.solution.keys, memory.name
        key = keys.get(name) or self._first(self.entering[name])
        if key is not None:
            keys[name] = key
        value = memory.net.out or self._first(self.leaving[name])
        if value is None and not self.leaving[name]:
            value = key
        if value is not None:
            self.solution.values[name] = value

    def _first(self, side: tuple[Flow, ...]) -> int | None:
        """Return the first known width among flows."""
        flows = self.solution.flows
        return next((flows[flow] for _, flow, _ in side if flow in flows), None)

    def _take_from_starters(self, memory: Memory) -> None:
        """Give a memory that nothing asks the widths of those that start as it."""
        for other in self.block.memories.values():
            if other.init.memory == memory.name:
                for widths in (self.solution.keys, self.solution.values):
                    if other.name in widths:
                        widths.setdefault(memory.name, widths[other.name])

    def _flow(self, name: str) -> bool:
        """Look at a node or read; whether its width was learnt, or can't be."""
        solution, node = self.solution, self.block.nodes.get(name)
        if node is None or name in solution.flows or name in solution.broken:
            return False
        width = self._read(node) if isinstance(node, Read) else self._node(node)
        if width is not None:
            solution.flows[name] = width
            self.open_nodes.pop(name, None)
        return width is not None or name in solution.broken

    def _read(self, read: Read) -> int | None:
        memory = self.block.memories[read.memory]
        value = self.solution.values.get(memory.name)
        if value is None:
            blocked = [flow for _, flow, _ in self.leaving[memory.name]]
            if blocked and all(flow in self.solution.broken for flow in blocked):
                self.solution.broken.add(read.name)
            return None
        if read.query is not None or memory.net.kind == "vector":
            return value
        key = self.solution.keys.get(memory.name)
        return None if key is None else value * key // memory.heads  # the matrix, head by head

    def _node(self, node: Node) -> int | None:
        fixed, flows = fixed_width(node), self.solution.flows
        if fixed is not None:
            return fixed
        known = [flows[flow] for flow in node.inputs if flow in flows]
        if any(flow in self.solution.broken for flow in node.inputs):
            self._break(node)
            return None
        if len(known) < len(node.inputs):
            if known and node.op in N_ARY:
                self.open_nodes[node.name] = node
            return None
        answer = op_width(node, tuple(known))
        if isinstance(answer, Mismatch):
            self._break(node)
            return None
        return answer

    def _break(self, node: Node) -> None:
        self.solution.broken.add(node.name)
        self.open_nodes.pop(node.name, None)

    def _decide(self) -> bool:
        """Break one tie of a loop that propagation can't enter; whether there was one."""
        flows = self.solution.flows
        for name, node in self.open_nodes.items():
            flows[name] = next(flows[flow] for flow in node.inputs if flow in flows)
            del self.open_nodes[name]
            self.todo += self.waiting[name]
            return True
        while self.open_memories:
            name = next(iter(self.open_memories))
            del self.open_memories[name]
            blocked = any(flow in self.solution.broken for _, flow, _ in self.leaving[name])
            if name not in self.solution.values and not blocked:
                self.solution.values[name] = self.solution.keys[name]
                self.todo += self.waiting[name]
                return True
        return False
