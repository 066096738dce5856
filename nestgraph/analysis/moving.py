"""How often the memories of a model's optimizer move: as often as the parameters they serve.

The clock of an optimizer counts its own steps for a parameter. One that moves every 4 steps of
training is asked every 4 steps, and the memories kept for it move no more often. A group that
holds parameters of several levels stands once for each of their periods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from nestgraph.analysis.parameters import ParameterSpec, parameter_table
from nestgraph.language.groups import choose, rules, traits_of
from nestgraph.language.system import Clock, FlatBlock, Group, Memory, Node, System
from nestgraph.language.trainer import trainer_of

Held = Mapping[int, tuple[ParameterSpec, ...]]
"""Parameters of one group by the steps between their moves, the fastest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moving:
    """The optimizer of a model as it moves.

    Attributes:
        system: the optimizer, opened, each group with the clocks of training. The first of the
            copies of a group stands at its own place, the slower ones behind all groups.
        moved: what each group moves, in the order of the groups.
    """

    system: System
    moved: tuple[tuple[ParameterSpec, ...], ...]


def moving(system: System) -> Moving | None:
    """Return the optimizer of a model as it moves; None for an optimizer, and where none was
    read.
    """
    trainer = trainer_of(system)
    if trainer is None:
        return None
    clocks = dict(trainer.clocks)
    first: list[tuple[Group, tuple[ParameterSpec, ...]]] = []
    slower: list[tuple[Group, tuple[ParameterSpec, ...]]] = []
    groups = trainer.optimizer or ()
    for group, held in zip(groups, _held(system, len(groups)), strict=True):
        copies = [(_slowed(group, period, some, clocks), some) for period, some in held.items()]
        first.append(copies[0] if copies else (_idle(group), ()))
        slower += copies[1:]
    listed = (*first, *slower)
    made = replace(trainer, optimizer=tuple(group for group, _ in listed), clocks=clocks)
    return Moving(system=made, moved=tuple(some for _, some in listed))


def _held(system: System, groups: int) -> list[Held]:
    """Return what each group of the opened optimizer holds; its order is that of `rules`."""
    assert system.training.system is not None
    listed = rules(system.training.system)
    found: list[dict[int, tuple[ParameterSpec, ...]]] = [{} for _ in range(groups)]
    for parameter in sorted(parameter_table(system), key=lambda one: one.period):
        place = choose(listed, traits_of(parameter)) if parameter.trained else None
        if place is not None:
            held = found[place]
            held[parameter.period] = (*held.get(parameter.period, ()), parameter)
    return list(found)


def _slowed(
    group: Group, period: int, held: tuple[ParameterSpec, ...], clocks: dict[str, Clock]
) -> Group:
    """Return a group whose clocks count the steps of training."""
    if period == 1 or group.block is None:
        return group
    level = held[0].level

    def slow(clock: Clock) -> Clock:
        if clock.unit != "steps":
            return clock
        name = level if clock.period == 1 else f"{clock.name} of {level}"
        return replace(clock, name=name, period=clock.period * period)

    def memory(one: Memory) -> Memory:
        return replace(one, level=slow(one.level), reset=slow(one.reset))

    block = group.block
    nodes = dict(block.nodes)
    for name, node in nodes.items():
        if isinstance(node, Node) and node.op == "pool":
            clock = slow(clocks[str(node.fields["level"])])
            clocks[clock.name] = clock
            nodes[name] = replace(node, fields={**node.fields, "level": clock.name})
    memories = {name: memory(one) for name, one in block.memories.items()}
    kind = group.kind if group.names is None else f"{group.kind} {group.names}"
    return replace(
        group,
        kind=f"{kind} of {level}",
        names=None,
        block=replace(block, memories=memories, nodes=nodes),
    )


def _idle(group: Group) -> Group:
    """Return a group that holds no parameter keeps nothing."""
    if group.block is None:
        return group
    empty: FlatBlock = replace(group.block, memories={}, nodes={}, inputs=())
    return replace(group, block=empty)


def memories_on_steps(system: System) -> Iterator[tuple[str, str]]:
    """Yield the memories of a model that its optimizer moves: id, and prefix of their
    parameters.
    """
    for layer in system.model.layers if system.model is not None else ():
        for memory in layer.block.memories.values():
            if memory.is_step_group:
                yield f"{layer.path}/{memory.name}", f"{layer.path}.{memory.name}."
