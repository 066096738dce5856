"""Online memories in the IR: their axes as attributes, and the op that notes their rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nestgraph.analysis.online_memories import Pace, Ticks, erased_layers
from nestgraph.compiler.ir import Attr, Op, Program
from nestgraph.language.system import Coefficient, Memory

COEFFICIENTS = ("rate", "momentum", "retain", "step")


def axes(memory: Memory) -> dict[str, Attr]:
    """Return what the segment executor needs to know of a memory."""
    rule, numbers = memory.rule, dict(_numbers(memory))
    found: dict[str, Attr] = {
        "objective": "task",
        "gradient": memory.gradient,
        "reset": memory.reset.period,
        "has_momentum": rule.momentum.number != 0,
        **numbers,
    }
    if not rule.reduce_is_flow:
        found["share"] = 1.0 if rule.reduce == "sum" else 1 / max(1, memory.level.period)
    if rule.direction == "newton_schulz":
        found["direction"] = rule.direction_steps
    if memory.init.memory is not None:
        found["source"] = memory.init.memory
    if memory.net.bias:
        found["bias"] = True
    if memory.net.norm != "none":
        found["norm"] = memory.net.norm
    if erased := erased_layers(memory):
        found["erased"] = erased
    if flows := rate_flows(memory):
        found["roles"] = tuple(flows)
    return found


def rate_flows(memory: Memory) -> Mapping[str, str]:
    """Return the flows among the coefficients of an online memory, by role; none for other
    memories.
    """
    if not memory.is_online:
        return {}
    flows = {role: coefficient.flow for role, coefficient in _coefficients(memory)}
    if memory.rule.reduce_is_flow:
        flows["share"] = memory.rule.reduce
    return {role: flow for role, flow in flows.items() if flow is not None}


def rates_op(memory: Memory) -> Op:
    """Return the op that notes the rates of a memory, in the order of its `roles`."""
    inputs = (memory.name, *rate_flows(memory).values())
    return Op(name=f"{memory.name}.rates", kind="rates", inputs=inputs, span=memory.span)


def pace(memory: Op) -> Pace:
    """Return when a memory moves and restarts."""
    gradient = memory.text("gradient")
    assert gradient in ("full", "first_order", "none")
    return Pace(
        period=memory.integer("period"),
        reset=memory.integer("reset"),
        gradient=gradient,  # type: ignore[arg-type]
    )


def ticks(program: Program) -> Ticks:
    """Return everything that happens between two positions of a program."""
    return Ticks.of((pace(memory) for _, memory in fast_ops(program)), program.horizon)


def fast_ops(program: Program) -> Iterator[tuple[str, Op]]:
    """Yield every online memory of every layer, with the layer's path."""
    for path, function in program.layers:
        for memory in function.of_kind("memory"):
            if memory.attrs.get("objective") == "task":
                yield path, memory


def part_names(memory: Op) -> list[str]:
    """Return names of the parts of a memory's state: matrices from the input side on, then
    biases.
    """
    layers = range(memory.integer("layers", 1))
    return [f"W{i}" for i in layers] + [f"b{i}" for i in layers if memory.flag("bias")]


def _coefficients(memory: Memory) -> Iterator[tuple[str, Coefficient]]:
    yield from ((role, getattr(memory.rule, role)) for role in COEFFICIENTS)
    if erased_layers(memory):
        yield "erase_rate", memory.rule.erase.rate or memory.rule.rate


def _numbers(memory: Memory) -> Iterator[tuple[str, Attr]]:
    for role, coefficient in _coefficients(memory):
        if coefficient.flow is None:
            yield role, coefficient.numbers or coefficient.number
