"""One parameter under its block: one step after the other, one node after the other.

Values are pulled as in a model's block (`docs/semantics.md`), with steps in place of positions.
A flow is fresh at the steps at which it ticks: the gradient at each, a pooled flow at the end of
its period, a read when its memory has moved, an op when one of its flows is fresh. A memory is
written when its events are fresh. In between a flow keeps its last value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.analysis.optimizer_flows import shapes, sides
from nestgraph.language.system import Clock, Coefficient, FlatBlock, Memory, Node, Read
from nestgraph.reference.optimizer import memory as memories
from nestgraph.reference.optimizer import ops
from nestgraph.reference.optimizer.memory import Rates, State

INPUT = "input"


class Flow(NamedTuple):
    """A value, and whether it ticked at this step."""

    value: Tensor | float
    fresh: bool


class Parameter:
    """A parameter as (rows, channels) in float64, with all that its block remembers of it."""

    def __init__(
        self, block: FlatBlock, clocks: Mapping[str, Clock], name: str, value: Tensor, seed: int
    ) -> None:
        self.block = block
        self.clocks = clocks
        self.name = name
        self.seed = seed
        self.steps = 0
        self.states: dict[str, State] = {}
        self.ticks = dict.fromkeys(block.nodes, 0)
        self.pools: dict[str, tuple[Tensor, int]] = {}  # what has come in this period
        self.last: dict[str, Tensor] = {}  # what came out of the period before
        (given,) = (m for m in block.memories.values() if m.init.kind == "given")
        self.given = given.name
        self.states[given.name] = State(
            running=(value,), anchor=(value,), momentum=(torch.zeros_like(value),)
        )

    @property
    def value(self) -> Tensor:
        """The parameter itself."""
        return self.states[self.given].running[0]

    def step(self, gradient: Tensor, lr: float, inputs: Tensor | None) -> None:
        """Take one step: gradient (rows, channels), and the layer's inputs (n, channels)."""
        self.steps += 1
        flows = {"grad": Flow(gradient, True), "lr": Flow(float(lr), False)}
        if inputs is not None:
            flows[INPUT] = Flow(inputs, True)
        _Step(self, flows).run()


class _Step:
    """One step under way; `owner.states` is the past until `run` ends."""

    def __init__(self, owner: Parameter, flows: dict[str, Flow]) -> None:
        self.owner = owner
        self.given = dict(flows)
        self.flows = flows
        self.written: dict[str, State] = {}

    def run(self) -> None:
        block, owner = self.owner.block, self.owner
        for name in block.nodes:
            self._flow(name)
        for name in block.memories:
            self._state_after(name)
        for name, state in self.written.items():
            owner.states[name] = self._committed(block.memories[name], state)

    def _committed(self, memory: Memory, state: State) -> State:
        period = memory.level.period
        if not period or self.owner.steps % period:
            return replace(state, committed=False)
        return replace(state, anchor=state.running, committed=True)

    def _flow(self, name: str) -> Flow:
        if name not in self.flows:
            node = self.owner.block.nodes[name]
            if isinstance(node, Read):
                flow = self._read(node)
            elif node.op == "pool":
                flow = self._pool(node)
            else:
                flow = self._op(node)
            self.owner.ticks[name] += flow.fresh
            self.flows[name] = flow
        return self.flows[name]

    def _op(self, node: Node) -> Flow:
        inputs = [self._flow(name) for name in node.inputs]
        source = node.inputs[0]
        ticks = self.owner.ticks.get(source, self.owner.steps if source == "grad" else 0)
        value = ops.run(node, tuple(flow.value for flow in inputs), ticks)
        return Flow(value, any(flow.fresh for flow in inputs))

    def _pool(self, node: Node) -> Flow:
        owner, name = self.owner, node.name
        value, fresh = self._flow(node.inputs[0])
        assert isinstance(value, Tensor), "a number has no period"
        total, count = owner.pools.get(name, (torch.zeros_like(value), 0))
        if fresh:
            total, count = total + value, count + 1
        ends = owner.steps % owner.clocks[str(node.fields["level"])].period == 0
        if ends:
            mean = node.fields.get("how") == "mean" and count
            owner.last[name] = total / count if mean else total
            total, count = torch.zeros_like(value), 0
        owner.pools[name] = (total, count)
        return Flow(owner.last.get(name, torch.zeros_like(value)), ends)

    def _read(self, read: Read) -> Flow:
        memory = self.owner.block.memories[read.memory]
        query = None if read.query is None else self._flow(read.query)
        if read.at == "after":
            state = self._state_after(read.memory)
            moved = state.wrote
        else:
            state = self._state_before(read.memory)
            moved = state.wrote if read.at == "before" else state.committed
        layers = state.anchor if read.at == "boundary" else state.running
        asked = None if query is None else query.value
        assert asked is None or isinstance(asked, Tensor), "a number is no query"
        fresh = moved or (query is not None and query.fresh)
        return Flow(memories.answer(memory, layers, asked), fresh)

    def _state_before(self, name: str) -> State:
        owner = self.owner
        if name not in owner.states:
            memory = owner.block.memories[name]
            owner.states[name] = memories.first(
                memory, self._shapes(memory), owner.name, owner.seed
            )
        return owner.states[name]

    def _shapes(self, memory: Memory) -> tuple[tuple[int, ...], ...]:
        """Return sizes of a memory's layers, by the symbols that the language gives its events."""
        keys, values = sides(memory, shapes(self.owner.block))
        assert values is not None, "the checks refuse flows of unknown shape"
        rows, columns = self.owner.value.shape
        size = {"rows": rows, "channels": columns}
        if memory.net.kind == "vector":
            return (tuple(size[symbol] for symbol in values),)
        assert keys is not None, "a net has keys"
        return memories.layer_shapes(memory.net, size[keys[1]], size[values[1]])

    def _events(self, names: tuple[str, ...]) -> Tensor:
        (name,) = names
        value = self._flow(name).value
        assert isinstance(value, Tensor), "a number is no event"
        return value

    def _state_after(self, name: str) -> State:
        if name not in self.written:
            self.written[name] = self._write(self.owner.block.memories[name])
        return self.written[name]

    def _write(self, memory: Memory) -> State:
        state = self._state_before(memory.name)
        if not self._is_due(memory):
            return replace(state, wrote=False)
        keys = self._events(memory.keys) if memory.keys else None
        gradients = self._gradients(memory, state, keys)
        gram = None if keys is None else keys.mT @ keys
        if keys is not None and memory.objective.kind == "task":
            gram = gram / len(keys) if gram is not None else None
        return memories.write(memory, state, gradients, self._rates(memory), gram)

    def _is_due(self, memory: Memory) -> bool:
        task = memory.objective.kind == "task"
        moves_by = memory.objective.through or "grad"
        flows = [moves_by] if task else [*memory.keys, *memory.values]
        ticks = not task or (self.owner.steps % memory.level.period == 0)
        return ticks and any(self._flow(name).fresh for name in flows)

    def _gradients(self, memory: Memory, state: State, keys: Tensor | None) -> memories.Layers:
        if memory.objective.kind == "task":
            return (self._events((memory.objective.through or "grad",)),)
        return memories.inner_gradient(memory, state, keys, self._events(memory.values))

    def _rates(self, memory: Memory) -> Rates:
        rule = memory.rule
        return Rates(
            rate=self._number(rule.rate),
            retain=self._number(rule.retain),
            momentum=self._number(rule.momentum),
            step=self._number(rule.step),
            erase=None if rule.erase.rate is None else self._number(rule.erase.rate),
        )

    def _number(self, coefficient: Coefficient) -> float:
        if coefficient.flow is None:
            numbers = coefficient.numbers or (coefficient.number,)
            return float(numbers[0] or 0.0)
        value = self._flow(coefficient.flow).value
        assert isinstance(value, float), "the checks refuse matrices as rates"
        return value
