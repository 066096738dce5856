"""Every value of a memory, read or op as text, each with the place where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nestgraph.display import wording
from nestgraph.display.describe import (
    coefficient_text,
    init_text,
    local,
    net_text,
    number_text,
    objective_text,
    towards_text,
    values_text,
)
from nestgraph.errors import Span
from nestgraph.language.system import Memory, Node, Read, Rule, System, Training

Part = Memory | Node | Read


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One value.

    Attributes:
        name: of the field, dotted inside a memory: `rule.rate`.
        value: as text.
        span: where it was written; None for a default.
        implied: follows from another line, such as the input of an op in a chain.
    """

    name: str
    value: str
    span: Span | None = None
    implied: bool = False

    @property
    def origin(self) -> str:
        """Return where the value came from, in words."""
        if self.span is not None:
            return f"from {self.span}"
        return "by the order of the chain" if self.implied else "by default"


def kind(part: Part) -> str:
    """Return `memory`, `read` or `op`."""
    match part:
        case Memory():
            return "memory"
        case Read():
            return "read"
        case Node():
            return "op"


def fields(part: Part) -> tuple[Field, ...]:
    """Return all values of a part, in the order of the language reference."""
    return tuple(_field(part, name, value) for name, value in _values(part))


def training_fields(training: Training) -> tuple[Field, ...]:
    """Return all values of the outermost level, the optimizer by its name."""
    names = [name for name in training.__dataclass_fields__ if name not in ("spans", "system")]
    return tuple(
        Field(
            name=name,
            value=wording.plain(getattr(training, name)),
            span=training.spans.get(name),
        )
        for name in names
    )


def model_fields(system: System) -> tuple[Field, ...]:
    """Return what lies around the stack."""
    if system.model is None:
        return ()
    span = system.model.span
    own = () if system.model.head_out is None else ("head_out",)
    values = ("vocab", "width", "norm", "tie_head", *own)
    return tuple(
        Field(name=name, value=wording.plain(getattr(system.model, name)), span=span)
        for name in values
    )


def _field(part: Part, name: str, value: str) -> Field:
    span = _span(part, name)
    return Field(name=name, value=value, span=span, implied=span is None and name == "in")


def _span(part: Part, name: str) -> Span | None:
    if isinstance(part, Memory) and name.startswith("rule."):
        return part.rule.spans.get(name.removeprefix("rule."))
    return part.spans.get(name) or (part.span if name in ("op", "read") else None)


def _values(part: Part) -> Iterator[tuple[str, str]]:
    match part:
        case Memory():
            yield from _memory_values(part)
        case Read():
            yield "read", part.memory
            yield "query", wording.plain(part.query)
            yield "at", part.at
        case Node():
            yield "op", part.op
            yield "in", ", ".join(part.inputs)
            yield from ((name, wording.plain(value)) for name, value in part.fields.items())
            if part.tie is not None:
                yield "tie", part.tie


def _memory_values(memory: Memory) -> Iterator[tuple[str, str]]:
    yield "net", net_text(memory.net)
    yield "heads", str(memory.heads)
    yield "level", wording.clock(memory.level)
    yield "keys", ", ".join(map(local, memory.keys)) or "none"
    yield "values", values_text(memory) or "none"
    yield "init", init_text(memory)
    if memory.net.kind == "attention":
        yield "reset", wording.clock(memory.reset)
        return
    yield "objective", objective_text(memory)
    if memory.objective.delta is not None:
        yield "objective.delta", coefficient_text(memory.objective.delta, None)
    if memory.is_step_group and memory.init.kind != "given":
        return
    yield from _rule_values(memory.rule)
    yield "reset", wording.clock(memory.reset)
    yield "gradient", memory.gradient


def _rule_values(rule: Rule) -> Iterator[tuple[str, str]]:
    for name in ("rate", "momentum", "retain"):
        towards = towards_text(rule) if name == "retain" else ""
        yield f"rule.{name}", coefficient_text(getattr(rule, name), None) + towards
    yield "rule.retain_first", wording.plain(rule.retain_first)
    yield "rule.erase", wording.erase(rule.erase)
    yield "rule.implicit", wording.plain(rule.implicit)
    steps = "" if rule.direction == "gradient" else f", {rule.direction_steps} steps"
    yield "rule.direction", f"{rule.direction}{steps}"
    yield "rule.step", coefficient_text(rule.step, None)
    q = "" if rule.mirror_q is None else f", q {number_text(rule.mirror_q)}"
    yield "rule.mirror", f"{rule.mirror}{q}"
    yield "rule.reduce", local(rule.reduce)
