"""A memory of a block as two ops: what it is, and what it is written with.

Attributes at their defaults are left out. Coefficients that are numbers are attributes of the
write; those that are flows are inputs of it, named by `roles`.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.parameters import head_widths, hidden_width, starts
from nestgraph.compiler import online_memories
from nestgraph.compiler.ir import Attr, Op
from nestgraph.language.system import Coefficient, FlatBlock, Init, Memory

DEFAULTS: dict[str, Attr] = {
    "gated": False,
    "bias": False,
    "norm": "none",
    "switch": "channel",
    "window": 1,
    "events": 1,
    "erase_key": False,
    "direction_steps": 0,
    "mirror": "none",
    "towards": "zero",
    "reduce": "sum",
    "gradient": "full",
    "reset": 0,
    "entries": 0,
    "per": (),
}


def write_name(memory: str) -> str:
    """Return the name of a memory's write."""
    return f"{memory}.write"


def one_name(memory: str) -> str:
    """Return the name of the key of a vector."""
    return f"{memory}.one"


def asks_of(memory: Memory, source: str) -> str:
    """Return the query of a read that names none."""
    return one_name(memory.name) if memory.net.kind == "vector" else source


def memory_op(memory: Memory, block: FlatBlock) -> Op:
    """Return what a memory is: its axes."""
    net, level = memory.net, memory.level
    vector = net.kind == "vector"
    attrs: dict[str, Attr] = {
        "net": "linear" if vector else net.kind,
        "heads": memory.heads,
        "level": level.name,
        "unit": level.unit,
        "period": level.period,
        "key_width": memory.heads if vector else memory.key_width,
        "value_width": memory.value_width,
    }
    if vector:
        attrs["vector"] = True
    if net.kind == "mlp":
        attrs |= {
            "layers": net.layers,
            "hidden": hidden_width(net, head_widths(memory)[0]),
            "activation": net.activation,
            "residual": net.residual,
            "gated": net.gated,
            "bias": net.bias,
            "norm": net.norm,
        }
    attrs |= {"events": len(memory.keys) or 1, "reset": memory.reset.period}
    if net.kind == "attention":
        attrs |= {"window": net.window or 1, "entries": memory.init.entries or 0}
        attrs |= {"bounded": True} if net.window else {}
    elif not memory.is_online:
        attrs |= _init(memory, block)
    if net.kind != "attention" and memory.objective.kind != "task":
        attrs |= _objective(memory) | _rule(memory) | {"towards": _towards(memory, block)}
    kept = {key: value for key, value in attrs.items() if DEFAULTS.get(key, ...) != value}
    if memory.is_online:
        kept |= online_memories.axes(memory) | {"init": _kind(memory.init)}
    return Op(name=memory.name, kind="memory", attrs=kept, span=memory.span)


def write_op(memory: Memory) -> Op:
    """Return what a memory is written with."""
    vector = memory.net.kind == "vector"
    keys = (one_name(memory.name),) * len(memory.values) if vector else memory.keys
    values = keys if vector and memory.self_values else memory.values
    inputs = [memory.name, *keys, *values]
    roles = ["memory", *["key"] * len(keys), *["value"] * len(values)]
    attrs: dict[str, Attr] = {}
    for role, given in _inputs(memory):
        if isinstance(given, Coefficient) and given.flow is None:
            attrs[role] = given.numbers or given.number
            continue
        roles.append(role)
        inputs.append(given if isinstance(given, str) else str(given.flow))
    attrs["roles"] = tuple(roles)
    name = write_name(memory.name)
    return Op(name=name, kind="write", inputs=tuple(inputs), attrs=attrs, span=memory.span)


def _init(memory: Memory, block: FlatBlock) -> dict[str, Attr]:
    """Return how the first state is made: by whose parameters, and as which memory after a
    reset.
    """
    source = _source(memory, block)
    found: dict[str, Attr] = {"init": _kind(source.init)}
    if source is not memory:
        found["start"] = source.name
    if source.is_step_group:
        found["init"] = "learned"  # whatever it started as, it is its parameters
    near = block.memories.get(memory.init.memory or "")
    if near is not None and memory.reset.period and not near.is_step_group:
        found["restart"] = near.name
    return found


def _source(memory: Memory, block: FlatBlock) -> Memory:
    """Return the memory whose parameters one starts as: the end of its chain, or a group on
    steps.
    """
    chain = starts(block, memory)
    return next((one for one in chain if one.is_step_group), chain[-1])


def _kind(init: Init) -> str:
    return "learned" if init.kind in ("fixed", "checkpoint") else init.kind  # all are parameters


def _towards(memory: Memory, block: FlatBlock) -> str:
    """Return where retention pulls, which is 0 for a memory that starts there or forgets
    nothing.
    """
    source = _source(memory, block)
    at_zero = source.init.kind == "zero" and not source.is_step_group
    return "zero" if at_zero or memory.rule.retain.number == 1 else memory.rule.towards


def _objective(memory: Memory) -> dict[str, Attr]:
    objective = memory.objective
    found: dict[str, Attr] = {
        "objective": objective.kind,
        "scale": objective.scale,
        "window": objective.window,
    }
    if objective.kind == "lp":
        found["power"] = objective.p
    if objective.kind == "huber":
        found["switch"] = objective.switch
    return found


def _rule(memory: Memory) -> dict[str, Attr]:
    rule = memory.rule
    newton_schulz = rule.direction == "newton_schulz"
    found: dict[str, Attr] = {
        "retain_first": rule.retain_first,
        "erase": rule.erase.where,
        "erase_key": rule.erase.where != "none" and rule.erase.key is not None,
        "implicit": rule.implicit,
        "self_values": memory.self_values,
        "direction_steps": rule.direction_steps if newton_schulz else 0,
        "mirror": rule.mirror,
        "reduce": "flow" if rule.reduce_is_flow else rule.reduce,
        "gradient": memory.gradient,
        "per": tuple(_per(memory)),
    }
    if rule.mirror == "lq":
        found["mirror_power"] = rule.mirror_q
    return found


def _per(memory: Memory) -> Iterator[Attr]:
    for role, given in _coefficients(memory):
        if given.per != "head" and memory.net.kind == "linear":
            yield f"{role}:{given.per}"


def _coefficients(memory: Memory) -> Iterator[tuple[str, Coefficient]]:
    rule = memory.rule
    yield "rate", rule.rate
    yield "momentum", rule.momentum
    yield "retain", rule.retain
    if rule.step.number != 1:
        yield "step", rule.step
    if rule.erase.where != "none" and rule.erase.rate is not None:
        yield "erase_rate", rule.erase.rate


def _inputs(memory: Memory) -> Iterator[tuple[str, Coefficient | str]]:
    """Yield coefficients, and flows beside keys and values."""
    if memory.net.kind == "attention":
        return
    yield from _coefficients(memory)
    rule = memory.rule
    if memory.objective.delta is not None:
        yield "delta", memory.objective.delta
    if rule.erase.where != "none" and rule.erase.key is not None:
        yield "erase_key", rule.erase.key
    if rule.reduce_is_flow:
        yield "share", rule.reduce
