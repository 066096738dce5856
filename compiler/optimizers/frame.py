"""One step of a program for all parameters of a group that have taken equally many steps.

Values are pulled: a flow is computed when it is first asked for, a read after a write makes that
write happen. Writes change the states in place, so a flow that still waits, made of a state that
is about to move, is given tensors of its own first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nestgraph.compiler.optimizers import elementwise, matrices, nets
from nestgraph.compiler.optimizers.program import MemoryPlan, Program
from nestgraph.compiler.optimizers.starts import zeros
from nestgraph.compiler.optimizers.values import (
    Cells,
    Quotient,
    Rounded,
    Sum,
    Tensors,
    Value,
    add_,
    bounded,
    by_shape,
    cells,
    depends_on,
    kept,
    plain,
)
from nestgraph.compiler.optimizers.writes import Buffers, Rates, write_vector
from nestgraph.language.system import Coefficient, Memory, Node, Read

OPS = {**elementwise.OPS, **matrices.OPS}
GraphCache = dict[str, Tensor]
FirstState = Callable[[Memory, int], Tensors]
"""Makes the layers of a memory for the parameter at a place."""
State = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a step is given, one of each a parameter.

    Attributes:
        parameters: as (rows, channels) where the program works on matrices.
        gradients: likewise.
        maximize: whether to climb.
        states: what is remembered; a step fills in what is missing.
        held: flows that stay the same between ticks; computed again where missing.
        grams: mean Gram matrices of what the layers were fed; empty where nobody asks.
        lr: the learning rate.
        step: number of this step, from 1.
        first: makes the first state of a memory's layers.
    """

    parameters: Tensors
    gradients: Tensors
    maximize: bool
    states: list[State]
    held: list[GraphCache]
    grams: Tensors
    lr: float
    step: int
    first: FirstState


class Frame:
    """A step under way."""

    def __init__(self, program: Program, given: Given) -> None:
        self.program = program
        self.given = given
        sign = -1.0 if given.maximize else 1.0
        self.flows: dict[str, Value] = {"lr": given.lr, "grad": Cells(given.gradients, sign)}
        self.left = dict(program.uses)
        self.written: set[str] = set()
        self.before: dict[str, list[Tensors]] = {}
        self.collected: set[str] = set()

    def run(self) -> None:
        """Run everything that is due at this step."""
        program, step = self.program, self.given.step
        self._look_back()
        self._forget()
        for node in program.pools:
            self._collect(node)
        for plan in program.memories.values():
            if plan.writes.fresh(step):
                self._write(plan)
        for plan in program.memories.values():
            period = plan.memory.level.period
            if plan.anchored and period and step % period == 0:
                self._commit(plan)

    def _forget(self) -> None:
        """Let go of kept flows that tick now, though perhaps nobody asks for them at this step."""
        for name in self.program.held:
            if self.program.ticks[name].fresh(self.given.step):
                for held in self.given.held:
                    held.pop(name, None)

    # Flows.

    def take(self, name: str) -> Value:
        """Return a flow for one of those that ask for it; the last may overwrite its tensors."""
        value = self._flow(name)
        left = self.left[name] = self.left.get(name, 1) - 1
        if isinstance(value, Cells | Quotient) and left > 0:
            value.owned = False
        return value

    def _flow(self, name: str) -> Value:
        if name not in self.flows:
            self.flows[name] = self._computed(name)
        return self.flows[name]

    def _computed(self, name: str) -> Value:
        program = self.program
        held = name in program.held
        if held:
            known = [held.get(name) for held in self.given.held]
            if all(tensor is not None for tensor in known):
                return self._as_held([tensor for tensor in known if tensor is not None])
        node = program.block.nodes[name]
        value = self._read(node) if isinstance(node, Read) else self._op(node)
        return self._hold(name, value) if held else value

    def _hold(self, name: str, value: Value) -> Value:
        """Keep the value of a flow until its next tick, in the short type that it may have."""
        if isinstance(value, Rounded) and value.scale == 1.0:
            own = value.tensors
        else:
            # What is kept must not be a state, which moves in place.
            x = plain(value)
            own = x.tensors if x.owned else [tensor.clone() for tensor in x.tensors]
        for held, tensor in zip(self.given.held, own, strict=True):
            held[name] = tensor
        return self._as_held(own)

    def _as_held(self, tensors: Tensors) -> Value:
        kind = self.given.gradients[0].dtype
        return Cells(tensors) if tensors[0].dtype == kind else Rounded(tensors, kind)

    def _op(self, node: Node) -> Value:
        if node.op == "pool":
            return self._pooled(node)
        inputs = [self.take(flow) for flow in node.inputs]
        if node.op == "debias":
            ticks = self.program.ticks[node.inputs[0]].count(self.given.step)
            decay = elementwise.number(node, "decay", 0.0)
            factor = 1 / (1 - decay**ticks) if ticks else 1.0
            return elementwise.scaled(inputs[0], factor)
        return OPS[node.op](node, *inputs)

    # Pools.

    def _collect(self, node: Node) -> None:
        """Add what came at this step; the first of a period takes the place of the last sum."""
        if node.name in self.collected:
            return
        self.collected.add(node.name)
        step, source = self.given.step, node.inputs[0]
        period = self.program.clocks[str(node.fields["level"])].period
        sums = self._buffers(node, "sum")
        if step % period == 1 or period == 1:
            torch._foreach_zero_(sums)
        if self.program.ticks[source].fresh(step):
            add_(sums, self.take(source))
        if step % period == 0 and node.name in self.program.lasting:
            torch._foreach_copy_(self._buffers(node, "last"), sums)

    def _pooled(self, node: Node) -> Value:
        self._collect(node)  # a pool of a pool may come first
        step = self.given.step
        period = self.program.clocks[str(node.fields["level"])].period
        ended = step // period * period
        part = "sum" if step % period == 0 else "last"
        value = Cells(self._buffers(node, part))
        if node.fields.get("how") == "mean" and ended:
            ticks = self.program.ticks[node.inputs[0]]
            value.scale = 1 / max(1, ticks.count(ended) - ticks.count(ended - period))
        return value

    def _buffers(self, node: Node, part: str) -> Tensors:
        key = f"{node.name}.{part}"
        shape = self.program.shapes[node.name]
        for state, like in zip(self.given.states, self.given.gradients, strict=True):
            if key not in state:
                state[key] = zeros(shape, like)
        return [state[key] for state in self.given.states]

    # Reads.

    def _look_back(self) -> None:
        """Note the states before this step, for reads that ask for them without a query."""
        for name, node in self.program.block.nodes.items():
            if isinstance(node, Read) and node.query is None and node.at != "after":
                plan = self.program.memories[node.memory]
                self.flows[name] = self._state_now(plan, node)

    def _state_now(self, plan: MemoryPlan, read: Read) -> Cells:
        (buffers,) = self._layers(plan)
        moving = read.at != "boundary" or not plan.anchored
        tensors = buffers.running if moving else buffers.anchor
        return Cells(tensors, source=plan.memory.name if moving else None)

    def _read(self, read: Read) -> Value:
        plan = self.program.memories[read.memory]
        if read.at == "after" and plan.writes.fresh(self.given.step):
            self._write(plan)
        if read.query is None:
            return self._state_now(plan, read)
        query = plain(self.take(read.query)).tensors
        layers = [b.anchor if read.at == "boundary" else b.running for b in self._layers(plan)]
        moved = read.at != "after" and (read.at == "before" or not plan.anchored)
        if moved and plan.memory.name in self.before:
            layers = self.before[plan.memory.name]
        return Cells(self._answers(plan.memory, layers, query), owned=True)

    def _answers(self, memory: Memory, layers: list[Tensors], query: Tensors) -> Tensors:
        answers = list(query)
        for places in by_shape(query, *layers):
            weights = [torch.stack([layer[p] for p in places]) for layer in layers]
            stack = torch.stack([query[p] for p in places])
            found = nets.answer(memory, weights, stack)
            for place, answer in zip(places, found.unbind(0), strict=True):
                answers[place] = answer
        return answers

    # Writes.

    def _write(self, plan: MemoryPlan) -> None:
        memory = plan.memory
        if memory.name in self.written:
            return
        value, keys = self._events(memory)
        if isinstance(value, Sum) and depends_on(value, memory.name):
            value = cells(value)  # a term of it moves in the write
        rates = self._rates(memory)
        if memory.name in self.written:
            return  # one of its own flows asked for the write
        layers = self._layers(plan)
        self._keep_readers(plan, layers)
        self.written.add(memory.name)
        if memory.net.kind == "vector":
            write_vector(memory, layers[0], value, rates)
        elif memory.name == self.program.param:
            self._descend(memory, layers[0], plain(value).tensors, rates)
        else:
            assert keys is not None, "a net has keys"
            self._learn(memory, layers, keys, plain(value).tensors, rates)

    def _events(self, memory: Memory) -> tuple[Value, Tensors | None]:
        if memory.objective.kind == "task":
            return self.take(memory.objective.through or "grad"), None
        keys = [plain(self.take(name)).tensors for name in memory.keys]
        return self.take(memory.values[0]), keys[0] if keys else None

    def _keep_readers(self, plan: MemoryPlan, layers: list[Buffers]) -> None:
        """Give flows that wait, made of a state that moves now, tensors of their own."""
        name = plan.memory.name
        for flow, value in self.flows.items():
            if self.left.get(flow, 0) > 0 and depends_on(value, name):
                self.flows[flow] = kept(value)
        late = any(
            isinstance(node, Read)
            and node.memory == name
            and node.at != "after"
            and node.query is not None
            and flow not in self.flows
            and not (node.at == "boundary" and plan.anchored)
            for flow, node in self.program.block.nodes.items()
        )
        if late:
            self.before[name] = [[x.clone() for x in layer.running] for layer in layers]

    def _descend(self, memory: Memory, at: Buffers, gradients: Tensors, rates: Rates) -> None:
        """Move the parameter as a `linear` memory of what its layer is fed."""
        grams = self.given.grams
        for places in by_shape(at.running, gradients):
            momentum = at.momentum
            stack = None if momentum is None else torch.stack([momentum[p] for p in places])
            moved, push = nets.descend_on_inputs(
                memory,
                torch.stack([at.running[p] for p in places]),
                stack,
                torch.stack([gradients[p] for p in places]),
                torch.stack([grams[p] for p in places]) if grams else None,
                rates,
            )
            torch._foreach_copy_([at.running[p] for p in places], list(moved.unbind(0)))
            if momentum is not None and push is not None:
                torch._foreach_copy_([momentum[p] for p in places], list(push.unbind(0)))

    def _learn(
        self, memory: Memory, layers: list[Buffers], keys: Tensors, values: Tensors, rates: Rates
    ) -> None:
        for places in by_shape(keys, values, *(layer.running for layer in layers)):

            def stack(tensors: Tensors, places: list[int] = places) -> Tensor:
                return torch.stack([tensors[p] for p in places])

            new, pushes = nets.write(
                memory,
                [stack(layer.running) for layer in layers],
                [stack(layer.anchor) for layer in layers],
                [stack(layer.momentum) for layer in layers if layer.momentum is not None],
                stack(keys),
                stack(values),
                rates,
            )
            for layer, moved in zip(layers, new, strict=True):
                torch._foreach_copy_([layer.running[p] for p in places], list(moved.unbind(0)))
            for layer, push in zip(layers, pushes, strict=False):
                assert layer.momentum is not None
                torch._foreach_copy_([layer.momentum[p] for p in places], list(push.unbind(0)))

    def _commit(self, plan: MemoryPlan) -> None:
        for layer in self._layers(plan):
            torch._foreach_copy_(layer.anchor, layer.running)

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
        value = self.take(coefficient.flow)
        assert isinstance(value, float), "the checks refuse matrices as rates"
        return bounded(value, self.given.gradients)

    # States.

    def _layers(self, plan: MemoryPlan) -> list[Buffers]:
        """Return the state of a memory; made as `init` says where there is none yet."""
        memory, given = plan.memory, self.given
        if memory.name != self.program.param:
            self._start(plan)
        count = 1 if memory.net.kind in ("linear", "vector") else memory.net.layers
        found = []
        for layer in range(count):
            key = f"{memory.name}.{{}}{layer}".format
            if memory.name == self.program.param:
                running = given.parameters
            else:
                running = [state[key("A")] for state in given.states]
            anchor = running
            if plan.anchored:
                anchor = self._like(key("anchor"), running, copy=True)
            momentum = self._like(key("S"), running) if plan.has_momentum else None
            found.append(Buffers(running=running, anchor=anchor, momentum=momentum))
        return found

    def _like(self, key: str, running: Tensors, copy: bool = False) -> Tensors:
        for state, tensor in zip(self.given.states, running, strict=True):
            if key not in state:
                start = tensor.clone() if copy else torch.zeros_like(tensor)
                state[key] = start
        return [state[key] for state in self.given.states]

    def _start(self, plan: MemoryPlan) -> None:
        name = plan.memory.name
        for place, state in enumerate(self.given.states):
            if f"{name}.A0" in state:
                continue
            for layer, tensor in enumerate(self.given.first(plan.memory, place)):
                state[f"{name}.A{layer}"] = tensor
