"""One layer at one position: runs its jobs in order, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from nestgraph.analysis.online_memories import erased_layers
from nestgraph.language.system import Clock, FlatBlock, Memory, Node, Read
from nestgraph.reference import asked, attention, memory, ops, starts, task_rule
from nestgraph.reference.nets import Function
from nestgraph.reference.order import Job, Write, in_order
from nestgraph.reference.starts import Parameters
from nestgraph.reference.state import Events, Learned, MemoryState
from nestgraph.shapes.flows import memory_flows

NONE: Mapping[str, Tensor] = {}
Watch: TypeAlias = Callable[[str, Tensor], None]  # a memory's name, its squared surprise (batch,)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerState:
    """What a layer remembers: its memories by name, and conv tails by the op's owner.

    `flows` are those that online memories take their rates from, as they were at this position.
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
        self,
        x: Tensor,
        state: LayerState,
        parameters: Parameters,
        position: int,
        watch: Watch | None = None,
        written: Tensor | None = None,
    ) -> tuple[Tensor, LayerState]:
        """Return the block's output at one position, (batch, width), and the state behind it.

        `watch` is told how much each write surprises its memory, if there is one. Rows whose
        `written` (batch,) is false skip their events.
        """
        (source,) = self.block.inputs
        now = _Position(self, state, parameters, position, {source: x}, watch, written)
        for job in self.jobs:
            now.do(job)
        assert self.block.output is not None, "blocks of a model have an output"
        return now.flows[self.block.output], now.end(len(x))


@dataclass
class _Position:
    """One position under way. `before` is the state at its start and never changes."""

    program: Program
    before: LayerState
    parameters: Parameters
    position: int
    flows: dict[str, Tensor]
    watch: Watch | None
    mask: Tensor | None  # (batch,) rows whose events aren't skipped; None: all
    written: dict[str, MemoryState] = field(default_factory=dict)
    asked: dict[str, Learned] = field(default_factory=dict)  # online memories that note queries
    tails: dict[str, Tensor] = field(default_factory=dict)

    def do(self, job: Job) -> None:
        """Run one node, one read or one write."""
        match job:
            case Write():
                self.written[job.memory.name] = self._write(job.memory)
            case Read():
                batch = len(self.flows[self.program.block.inputs[0]])
                self.flows[job.name] = self._read(job).flatten(-2).expand(batch, -1)
            case Node():
                self.flows[job.name] = self._op(job)

    def end(self, batch: int) -> LayerState:
        """Return the state behind this position, with the ticks and then the resets that are
        due.
        """
        block = self.program.block
        ticked = {
            name: memory.tick(block.memories[name], state, self.position)
            if isinstance(state, Learned)
            else state
            for name, state in self.written.items()
        }
        now = dict(starts.started_over(block, self.parameters, ticked, self.position, batch))
        flows: dict[str, Tensor] = {}
        for name, fast in self.program.block.memories.items():
            if fast.is_online:
                now[name] = self.asked.get(name, self.before.memories[name])
                flows |= {flow: self.flows[flow] for _, flow in memory_flows(fast)}
        return LayerState(memories=now, tails=self.tails, flows=flows)

    def _op(self, node: Node) -> Tensor:
        # `position` asks for no flow; the block's input lends it batch and type.
        inputs = tuple(self.flows[name] for name in node.inputs or self.program.block.inputs)
        if node.op == "conv":
            inputs = (self._conv_window(node, *inputs),)
        since = node.fields.get("since")
        call = ops.Call(
            node=node,
            inputs=inputs,
            parameters=self.parameters.get(node.tie or node.owner, NONE),
            position=self.position,
            period=self.program.clocks[since].period if isinstance(since, str) else 0,
        )
        return ops.run(call)

    def _conv_window(self, node: Node, x: Tensor) -> Tensor:
        window = torch.cat((self.before.tails[node.owner], x[:, None]), 1)
        self.tails[node.owner] = window[:, 1:]
        return window

    def _function(self, of: Memory) -> Function:
        return Function(of.net, self.parameters.get(f"{of.name}.norm", NONE))

    def _read(self, node: Read) -> Tensor:
        source, query = self.program.block.memories[node.memory], None
        if node.query is not None:
            query = ops.in_runs(self.flows[node.query], source.heads)
        if source.is_step_group:
            # Its one state is a parameter of the outer level, whatever `at` says.
            weights = tuple(part[None] for part in self.parameters[source.name].values())
            return memory.answer(self._function(source), weights, query)
        before, after = self.before.memories[source.name], self.written.get(source.name)
        if isinstance(before, Events):
            events = after if node.at == "after" else before
            assert isinstance(events, Events)
            assert query is not None, "attention is asked with a query: the checks see to it"
            return attention.attend(events, self.parameters.get(source.name, NONE), query)
        assert after is None or isinstance(after, Learned)
        at = "boundary" if source.is_online else node.at
        if query is not None and erased_layers(source):
            known = self.asked.get(source.name, before)
            function = self._function(source)
            self.asked[source.name] = task_rule.asked(source, function, known, query, self.mask)
        return memory.read(source, self._function(source), before, after, query, at)

    def _write(self, written: Memory) -> MemoryState:
        state = self.before.memories[written.name]
        if isinstance(state, Events):
            return attention.append(written, state, asked.pairs(written, self.flows), self.mask)
        home = None
        if written.rule.towards == "init":
            home = starts.home(self.program.block, written, self.parameters, state.running)
        now = asked.position(written, self.flows, self.position, home)
        if self.watch is not None:
            told = memory.surprise(written, self._function(written), state, now)
            self.watch(written.name, told if self.mask is None else told * self.mask)
        new = memory.write(written, self._function(written), state, now)
        return new if self.mask is None else memory.skipped(written, state, new, self.mask)
