"""One layer at one position: runs its jobs in order, each once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nestgraph.reference import attention, memory, ops
from nestgraph.reference.nets import forward
from nestgraph.reference.order import Job, Write, in_order
from nestgraph.reference.state import Events, Learned, MemoryState
from nestgraph.shapes.flows import memory_flows
from nestgraph.system import Clock, Coefficient, FlatBlock, Memory, Node, Read

Parameters = Mapping[str, Mapping[str, Tensor]]  # by owner, then by short name
NONE: Mapping[str, Tensor] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerState:
    """What a layer remembers: its memories by name, and conv tails by the op's owner.

    `flows` are those that fast memories take their rates from, as they were at this position.
    """

    memories: Mapping[str, MemoryState]
    tails: Mapping[str, Tensor]
    flows: Mapping[str, Tensor] = field(default_factory=dict)


class Program:
    """A block with the order of its jobs; layers that repeat share one."""

    def __init__(self, block: FlatBlock, clocks: Mapping[str, Clock]) -> None:
        self.block = block
        self.clocks = clocks
        self.jobs: tuple[Job, ...] = in_order(block)

    def run(
        self, x: Tensor, state: LayerState, parameters: Parameters, position: int
    ) -> tuple[Tensor, LayerState]:
        """The block's output at one position, (batch, width), and the state behind it."""
        (source,) = self.block.inputs
        now = _Position(self, state, parameters, position, flows={source: x})
        for job in self.jobs:
            now.do(job)
        assert self.block.output is not None, "blocks of a model have an output"
        return now.flows[self.block.output], now.end()


@dataclass
class _Position:
    """One position under way. `before` is the state at its start and never changes."""

    program: Program
    before: LayerState
    parameters: Parameters
    position: int
    flows: dict[str, Tensor]
    written: dict[str, MemoryState] = field(default_factory=dict)
    tails: dict[str, Tensor] = field(default_factory=dict)

    def do(self, job: Job) -> None:
        """Runs one node, one read or one write."""
        match job:
            case Write():
                self.written[job.memory.name] = self._write(job.memory)
            case Read():
                self.flows[job.name] = self._read(job)
            case Node():
                self.flows[job.name] = self._op(job)

    def end(self) -> LayerState:
        """The state behind this position, with the ticks that are due."""
        memories = {
            name: memory.tick(self.program.block.memories[name], state, self.position)
            if isinstance(state, Learned)
            else state
            for name, state in self.written.items()
        }
        flows: dict[str, Tensor] = {}
        for name, fast in self.program.block.memories.items():
            if fast.is_fast:
                memories[name] = self.before.memories[name]
                flows |= {flow: self.flows[flow] for _, flow in memory_flows(fast)}
        return LayerState(memories=memories, tails=self.tails, flows=flows)

    def _op(self, node: Node) -> Tensor:
        # `position` asks for no flow; the block's input lends it batch and type.
        inputs = tuple(self.flows[name] for name in node.inputs or self.program.block.inputs)
        if node.op == "conv":
            inputs = (self._window(node, *inputs),)
        since = node.fields.get("since")
        call = ops.Call(
            node=node,
            inputs=inputs,
            parameters=self.parameters.get(node.owner, NONE),
            position=self.position,
            period=self.program.clocks[since].period if isinstance(since, str) else 0,
        )
        return ops.run(call)

    def _window(self, node: Node, x: Tensor) -> Tensor:
        window = torch.cat((self.before.tails[node.owner], x[:, None]), 1)
        self.tails[node.owner] = window[:, 1:]
        return window

    def _read(self, node: Read) -> Tensor:
        asked = self.program.block.memories[node.memory]
        assert node.query is not None, "reads without a query are refused"
        query = ops.in_runs(self.flows[node.query], asked.heads)
        if asked.is_step_group:
            # Its one state is a parameter of the outer level, whatever `at` says.
            weights = tuple(self.parameters[asked.name].values())
            return forward(asked.net, weights, query).answer.flatten(-2)
        before, after = self.before.memories[asked.name], self.written.get(asked.name)
        if isinstance(before, Events):
            events = after if node.at == "after" else before
            assert isinstance(events, Events)
            return attention.attend(events, query).flatten(-2)
        assert after is None or isinstance(after, Learned)
        at = "boundary" if asked.is_fast else node.at
        return memory.read(asked, before, after, query, at).flatten(-2)

    def _write(self, written: Memory) -> MemoryState:
        (key,) = (ops.in_runs(self.flows[name], written.heads) for name in written.keys)
        (value,) = (ops.in_runs(self.flows[name], written.heads) for name in written.values)
        state = self.before.memories[written.name]
        if isinstance(state, Events):
            return attention.append(state, key, value)
        rule, erase = written.rule, written.rule.erase.rate
        event = memory.Event(
            key=key,
            value=value,
            rate=self._coefficient(rule.rate, key),
            retain=self._coefficient(rule.retain, key),
            momentum=self._coefficient(rule.momentum, key),
            erase_rate=None if erase is None else self._coefficient(erase, key),
        )
        return memory.write(written, state, event)

    def _coefficient(self, coefficient: Coefficient, like: Tensor) -> Tensor:
        """A number, a list with one a head, or a flow of width 1 or heads, as (batch, heads)."""
        if coefficient.flow is not None:
            return self.flows[coefficient.flow]
        numbers = coefficient.numbers or (coefficient.number,)
        return like.new_tensor([numbers])
