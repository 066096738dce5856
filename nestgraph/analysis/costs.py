"""Costs of the parts of a model: learned numbers, numbers of state, FLOPs.

All of it comes from formulas (`nestgraph.analysis.flops`, `nestgraph.analysis.state_sizes`) and
needs no PyTorch. What the compiled kernels carry out, which work on chunks of tokens, is measured
by `nestgraph.compiler.cost`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nestgraph.analysis.flops import op_flops, read_flops, write_flops
from nestgraph.analysis.levels import LevelRow, instances, nested_levels
from nestgraph.analysis.parameters import input_width, parameter_table
from nestgraph.analysis.state_sizes import memory_numbers, op_numbers
from nestgraph.language.system import FlatBlock, Node, Read, System

BYTES = 4
"""Of one number, in float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a part of a model costs.

    Attributes:
        parameters: learned numbers.
        state: numbers kept from one token to the next, for one sequence.
        flops: of matrix products, for one token, forward.
    """

    parameters: int = 0
    state: int = 0
    flops: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            parameters=self.parameters + other.parameters,
            state=self.state + other.state,
            flops=self.flops + other.flops,
        )

    @property
    def state_bytes(self) -> int:
        """Bytes of the state in float32."""
        return BYTES * self.state


NOTHING = Cost()


def costs(system: System) -> dict[str, Cost]:
    """Return the cost of each flow and memory by its id, `3.hope/a.q`, and of `embed`, `norm`,
    `head`.

    A memory's cost holds its reads. Empty for an optimizer, which runs once a step.
    """
    found: dict[str, Cost] = {}
    for name, cost in (*_running(system), *_learned(system)):
        found[name] = found.get(name, NOTHING) + cost
    return found


def total(system: System) -> Cost:
    """Return the cost of the whole model."""
    return sum(costs(system).values(), start=NOTHING)


def level_costs(system: System) -> tuple[tuple[LevelRow, Cost], ...]:
    """Return the levels, outermost first, each with what its memories cost.

    A model's levels are those of what trains it, too, whose memories cost nothing here: they run
    once a step. A level on steps has the parameters that move with it; `step` has all others, the
    ops and what lies around the stack.
    """
    found, rows = costs(system), nested_levels(system)
    moved: dict[int, int] = {}
    for spec in parameter_table(system):
        moved[spec.period] = moved.get(spec.period, 0) + spec.size
    held = {memory for row in rows for memory in row.memories}
    rest = sum((cost for name, cost in found.items() if name not in held), start=NOTHING)
    return tuple((row, _of_level(row, found, moved, rest)) for row in rows)


def _of_level(
    row: LevelRow, found: Mapping[str, Cost], moved: Mapping[int, int], rest: Cost
) -> Cost:
    own = [found.get(memory, NOTHING) for memory in row.memories]
    cost = sum(own, start=rest if row.trains else NOTHING)
    parameters = moved.get(row.clock.period, 0) if row.clock.unit == "steps" else 0
    return Cost(parameters=parameters, state=cost.state, flops=cost.flops)


def _running(system: System) -> Iterator[tuple[str, Cost]]:
    model, context = system.model, system.training.context
    if model is None:
        return
    for layer in model.layers:
        for name, cost in _block(layer.block, model.width, context):
            yield f"{layer.path}/{name}", cost
    yield "head", Cost(flops=2 * model.width * model.classes)


def _block(block: FlatBlock, model_width: int, context: int) -> Iterator[tuple[str, Cost]]:
    for memory in block.memories.values():
        yield (
            memory.name,
            Cost(state=memory_numbers(memory, context), flops=write_flops(memory)),
        )
    for node in block.nodes.values():
        if isinstance(node, Read):
            yield node.memory, Cost(flops=read_flops(node, block.memories[node.memory], context))
            continue
        width_in = input_width(block, node, model_width)
        yield node.name, Cost(state=op_numbers(node, width_in), flops=op_flops(node, width_in))


def _learned(system: System) -> Iterator[tuple[str, Cost]]:
    owners: dict[str, str] = {}  # prefix of parameters: id of the flow or memory
    for path, block in instances(system):
        owners |= {f"{path}.{name}": f"{path}/{name}" for name in block.memories}
        ops = (node for node in block.nodes.values() if isinstance(node, Node))
        owners |= {f"{path}.{node.owner}": f"{path}/{node.name}" for node in ops}
    for spec in parameter_table(system):
        owner = spec.name.rpartition(".")[0]
        while owner not in owners and "." in owner:  # `M.norm.gain`: a net's norm
            owner = owner.rpartition(".")[0]
        yield owners.get(owner, owner), Cost(parameters=spec.size)
