"""A memory's table and model to a `Memory` of the system."""

from __future__ import annotations

from nestgraph.elaborate.names import Names, spans
from nestgraph.errors import Span
from nestgraph.findings import Findings
from nestgraph.language.system import (
    NEVER,
    TOKEN,
    Coefficient,
    Erase,
    Init,
    Memory,
    Net,
    Objective,
    Rule,
)
from nestgraph.recovery.fixes import Add, Cures, Drop, Known
from nestgraph.schema import FlowCoefficient, FlowRetention, NumberRetention
from nestgraph.schema import memory as schema
from nestgraph.text.tree import Entry, Scalar, Table, at

Path = tuple[str | int, ...]
MAX_CHAIN = 50


def with_likes(memories: Table, findings: Findings) -> Table:
    """Return the memories with `like` spelled out: its fields, less those given again."""
    expanded: dict[str, Entry] = {}
    for name, entry in memories.entries.items():
        expanded[name] = Entry(entry.key, _like(name, memories, (), findings) or entry.value)
    return Table(expanded, memories.span)


def _like(name: str, memories: Table, chain: tuple[str, ...], findings: Findings) -> Table | None:
    table = memories.get(name)
    like = table.get("like") if isinstance(table, Table) else None
    if not isinstance(table, Table) or not isinstance(like, Scalar):
        return table if isinstance(table, Table) else None
    own = table.without("like")
    other = str(like.value)
    if other in (*chain, name):
        around = " -> ".join((*chain, name, other))
        message = f"`like` goes round in a circle: {around}"
        hint, cures = "let one of them say its own fields", _unlike(table, like)
        findings.add("NG209", message, like.span, hint, cures=cures)
        return own
    if len(chain) >= MAX_CHAIN:
        message = f"`like` goes through more than {MAX_CHAIN} memories"
        hint, cures = "name one nearer the end", _unlike(table, like)
        findings.add("NG209", message, like.span, hint, cures=cures)
        return own
    if other not in memories:
        return table  # an unknown name; it stays for the check of names
    base = _like(other, memories, (*chain, name), findings)
    if base is None:
        return own
    return Table({**base.without("like").entries, **own.entries}, table.span)


def _unlike(table: Table, like: Scalar) -> Cures:
    """Return a memory with fields of its own in place of those that it was to take."""
    takes = (
        {"keys": Known("flow", 0), "values": Known("flow", 0)},
        {"keys": Known("flow", 1), "values": Known("flow", 0)},
        {"objective": "task"},
    )
    changes = ([Add(table.span, *field) for field in fields.items()] for fields in takes)
    return Cures(tuple((Drop(like.span), *added) for added in changes))


class MemoryBuilder:
    """Builds one memory, checking every name in it."""

    def __init__(self, name: str, key: Span, table: Table, names: Names) -> None:
        self.name = name
        self.key = key
        self.table = table
        self.names = names

    def build(self, model: schema.Memory) -> Memory:
        """Return the memory that the model describes."""
        if model.like is not None:
            self.names.memory(model.like, "like", self._span("like"))
        values, self_values = self._values(model.values)
        level = self.names.level(model.level, "level", self._span("level"))
        reset = self.names.level(model.reset, "reset", self._span("reset"))
        return Memory(
            name=self.name,
            net=self._net(model.net),
            heads=model.heads,
            level=level or TOKEN,
            keys=self._flows(model.keys, ("keys",)),
            values=values,
            self_values=self_values,
            objective=self._objective(model.objective),
            rule=self._rule(model.rule),
            init=self._init(model.init),
            reset=reset or NEVER,
            gradient=model.gradient,
            span=self.key,
            spans=spans(self.table),
            written=frozenset(self.table),
        )

    def _span(self, *path: str | int) -> Span:
        return self.names.span(self.table, path, self.key)

    def _written(self, *path: str) -> Span | None:
        """Return the place of a value, if the author wrote one."""
        tree, found = at(self.table, path)
        return tree.span if found == path else None

    def _flow(self, name: str, *path: str | int) -> str:
        field = next(str(part) for part in reversed(path) if isinstance(part, str))
        return self.names.flow(name, field, self._span(*path))

    def _flows(self, given: str | list[str] | None, path: Path) -> tuple[str, ...]:
        if given is None:
            return ()
        if isinstance(given, str):
            return (self._flow(given, *path),)
        return tuple(self._flow(name, *path, index) for index, name in enumerate(given))

    def _values(
        self, given: str | list[str] | schema.SelfValues | None
    ) -> tuple[tuple[str, ...], bool]:
        if isinstance(given, schema.SelfValues):
            return (self._flow(given.self, "values", "self"),), True
        return self._flows(given, ("values",)), False

    def _coefficient(
        self, given: float | list[float] | str | FlowCoefficient | NumberRetention, *path: str
    ) -> Coefficient:
        span = self._written(*path)
        if isinstance(given, NumberRetention):
            given = given.number
        if isinstance(given, FlowCoefficient):
            flow = self._flow(given.flow, *path, "flow")
            return Coefficient(flow=flow, per=given.per, span=span)
        if isinstance(given, str):
            return Coefficient(flow=self._flow(given, *path), span=span)
        if isinstance(given, list):
            return Coefficient(numbers=tuple(float(number) for number in given), span=span)
        return Coefficient(number=float(given), span=span)

    def _net(self, given: schema.Net) -> Net:
        span = self._written("net")
        if isinstance(given, str):
            return Net(kind=given, span=span)
        return Net(**given.model_dump(), span=span)

    def _objective(self, given: schema.Objective) -> Objective:
        span = self._written("objective")
        if isinstance(given, str):
            return Objective(kind=given, span=span)
        if isinstance(given, schema.TaskObjective):
            through = given.through
            if through is not None:
                self._flow(through, "objective", "through")
            return Objective(kind="task", through=through, span=span)
        delta = None
        if isinstance(given, schema.HuberObjective):
            delta = self._coefficient(given.delta, "objective", "delta")
        return Objective(
            kind=given.kind,
            scale=given.scale,
            window=given.window,
            delta=delta,
            switch=given.switch if isinstance(given, schema.HuberObjective) else "channel",
            p=given.p if isinstance(given, schema.LpObjective) else None,
            span=span,
        )

    def _rule(self, given: schema.Rule) -> Rule:
        table = self.table.get("rule")
        steps = (
            given.direction.steps
            if isinstance(given.direction, schema.NewtonSchulzDirection)
            else 5
        )
        reduces = given.reduce not in ("sum", "mean")
        if reduces:
            self._flow(given.reduce, "rule", "reduce")
        return Rule(
            rate=self._coefficient(given.rate, "rule", "rate"),
            momentum=self._coefficient(given.momentum, "rule", "momentum"),
            retain=self._coefficient(given.retain, "rule", "retain"),
            retain_first=given.retain_first,
            towards=(
                given.retain.towards
                if isinstance(given.retain, FlowRetention | NumberRetention)
                else "zero"
            ),
            erase=self._erase(given.erase),
            implicit=given.implicit,
            direction=given.direction if isinstance(given.direction, str) else given.direction.kind,
            direction_steps=steps,
            step=self._coefficient(given.step, "rule", "step"),
            mirror=given.mirror if isinstance(given.mirror, str) else given.mirror.kind,
            mirror_q=given.mirror.q if isinstance(given.mirror, schema.LqMirror) else None,
            reduce=given.reduce,
            reduce_is_flow=reduces,
            spans=spans(table) if isinstance(table, Table) else {},
        )

    def _erase(self, given: schema.Erase) -> Erase:
        span = self._written("rule", "erase")
        if isinstance(given, str):
            return Erase(where=given, span=span)
        if given.key is not None:
            self._flow(given.key, "rule", "erase", "key")
        rate = None
        if given.rate is not None:
            rate = self._coefficient(given.rate, "rule", "erase", "rate")
        return Erase(where=given.where, key=given.key, rate=rate, span=span)

    def _init(self, given: schema.Init) -> Init:
        span = self._written("init")
        if isinstance(given, str):
            return Init(kind=given, span=span)
        if isinstance(given, schema.FromInit):
            self.names.memory(given.memory, "memory", self._span("init", "memory"))
        if isinstance(given, schema.CheckpointInit):
            keys = (given.key,) if isinstance(given.key, str) else tuple(given.key or ())
            path, _ = at(self.table, ("init", "path"))
            place = path.written if isinstance(path, Scalar) else path.span
            return Init(kind=given.kind, path=given.path, keys=keys, span=place)
        return Init(**given.model_dump(), span=span)
