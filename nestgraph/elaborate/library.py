"""The blocks of a file, each built once for every set of vars that it is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nestgraph.elaborate.body import Body, BodyBuilder
from nestgraph.elaborate.flatten import AliasCycleError, flatten
from nestgraph.elaborate.nodes import Call
from nestgraph.elaborate.scope import Scope
from nestgraph.errors import Span
from nestgraph.findings import Findings, closest, did_you_mean, listed, near_names, other_names
from nestgraph.language.system import Clock, FlatBlock
from nestgraph.recovery.fixes import Add, Cures, Drop, Known, Put, Rename, as_meant, either
from nestgraph.schema import stand_ins
from nestgraph.text.arithmetic import Word
from nestgraph.text.tree import Scalar, Table, Tree

MAX_PARTS = 20_000
MAX_NESTING = 32
Key = tuple[str, tuple[tuple[str, str, str], ...]]


class TooLargeError(Exception):
    """Raised when blocks inside blocks make more parts than any model has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A block with its vars filled in.

    Attributes:
        name: unlike that of any other instance; that of the block for the first one.
        body: its own parts.
        inner: the instances that its nodes call, by the call's name.
        flat: everything inlined; None if that is impossible, which has its finding.
        size: number of nodes and memories, those of inner blocks included.
    """

    name: str
    body: Body
    inner: Mapping[str, Instance]
    flat: FlatBlock | None
    size: int


class Library:
    """Builds the blocks of a file on demand."""

    def __init__(
        self,
        blocks: Table | None,
        scope: Scope,
        clocks: dict[str, Clock | None],
        findings: Findings,
    ) -> None:
        self.blocks = blocks
        self.scope = scope
        self.clocks = clocks
        self.findings = findings
        self.built: dict[Key, Instance] = {}
        self.asked: list[str] = []

    @property
    def parts(self) -> int:
        """Nodes and memories of all instances together."""
        return sum(instance.size for instance in self.built.values())

    def build_rest(self) -> None:
        """Build the blocks that nothing uses, to check them too."""
        used = {instance.body.name for instance in self.built.values()}
        for name in self.blocks or ():
            if name not in used and self.blocks is not None:
                self.instance(name, self.blocks.entries[name].key, None)

    def instance(self, name: str, span: Span, given: Tree | None) -> Instance | None:
        """Return a block under the vars of a `with`; None, with a finding, if there is no such
        block.

        Args:
            name: of the block.
            span: where it is asked for.
            given: the value of `with`, its arithmetic carried out.
        """
        if self.blocks is None:
            return None
        entry = self.blocks.entries.get(name)
        if entry is None:
            hint = did_you_mean(name, self.blocks) or "define it in `blocks`"
            cures = near_names(span, name, self.blocks)
            self.findings.add("NG205", f"no block is called `{name}`", span, hint, cures=cures)
            return None
        if name in self.asked:
            around = " -> ".join((*self.asked[self.asked.index(name) :], name))
            message = f"block `{name}` contains itself: {around}"
            hint, cures = "a block may only use other blocks", self._outside(span)
            self.findings.add("NG208", message, span, hint, cures=cures)
            return None
        if len(self.asked) >= MAX_NESTING:
            message = f"block `{name}` lies inside {MAX_NESTING} others"
            hint, cures = "let blocks follow each other instead", self._outside(span)
            self.findings.add("NG114", message, span, hint, cures=cures)
            return None
        if not isinstance(entry.value, Table):
            cures = either(Put(entry.value.span, block) for block in stand_ins.blocks())
            self.findings.wrong(f"block `{name}`", entry.value, "a mapping", cures=cures)
            return None
        scope = self._scope(name, entry.value, given)
        values = scope.own()
        key = (name, tuple((var, type(word).__name__, str(word)) for var, word in values.items()))
        if key not in self.built:
            self.built[key] = self._build(name, entry.key, scope, entry.value)
        return self.built[key]

    def _outside(self, span: Span) -> Cures:
        """Return the blocks that the one being built does not lie in."""
        return other_names(span, [name for name in self.blocks or () if name not in self.asked])

    def _scope(self, name: str, table: Table, given: Tree | None) -> Scope:
        defaults = table.get("vars")
        if defaults is not None and not isinstance(defaults, Table):
            cures = either([Put(defaults.span, {})])
            self.findings.wrong(f"`vars` of block `{name}`", defaults, "a mapping", cures=cures)
        known = defaults if isinstance(defaults, Table) else Table({}, table.span)
        words = self._given(name, known, given)
        places = given.entries if isinstance(given, Table) else {}
        written = {
            var: entry.value.written if isinstance(entry.value, Scalar) else entry.value.span
            for var, entry in places.items()
        }
        return Scope(self.findings, known, words, self.scope, written)

    def _given(self, name: str, known: Table, given: Tree | None) -> dict[str, Word | None]:
        if not isinstance(given, Table):
            return {}
        words: dict[str, Word | None] = {}
        for var, entry in given.entries.items():
            if var not in known:
                hint = did_you_mean(var, known) or f"declare it in the `vars` of `{name}`"
                free = [other for other in known if other not in given]
                near = closest(var, free)
                renames = [Rename(entry.key, other) for other in free]
                cures = either([Drop(entry.key), *renames])
                if near is not None:
                    cures = as_meant(Rename(entry.key, near), var, near, cures)
                message = f"block `{name}` has no var `{var}`"
                self.findings.add("NG103", message, entry.key, hint, cures=cures)
                continue
            value = entry.value.value if isinstance(entry.value, Scalar) else None
            words[var] = value if isinstance(value, Word) else None
        return words

    def _build(self, name: str, key: Span, scope: Scope, table: Table) -> Instance:
        findings = self.findings
        filled = scope.apply(table.without("vars"))
        assert isinstance(filled, Table)
        findings.vars = scope.names
        body = BodyBuilder(name, key, self.clocks, findings).build(filled)
        self.asked.append(name)
        inner = self._inner(body)
        self.asked.pop()
        calls = [part for part in body.nodes.values() if isinstance(part, Call)]
        own = len(body.memories) + len(body.nodes) - len(calls)
        size = max(1, own + sum(instance.size for instance in inner.values()))
        if size > MAX_PARTS:
            message = f"block `{name}` holds {size:,} nodes and memories"
            findings.add("NG114", message, key, f"at most {MAX_PARTS:,} fit into a spec")
            raise TooLargeError
        flat = self._flat(body, inner) if len(inner) == len(calls) else None
        return Instance(name=self._free(name), body=body, inner=inner, flat=flat, size=size)

    def _inner(self, body: Body) -> dict[str, Instance]:
        inner: dict[str, Instance] = {}
        for part in body.nodes.values():
            if not isinstance(part, Call):
                continue
            entry = part.table.entries.get("block")
            span = entry.value.span if entry else part.span
            found = self.instance(part.block, span, part.table.get("with"))
            if found is not None and self._fits(part, found):
                inner[part.name] = found
        return inner

    def _fits(self, call: Call, instance: Instance) -> bool:
        takes, gives = instance.body.inputs, call.inputs
        if len(takes) != len(gives):
            entry = call.table.entries.get("in")
            place = entry.value.span if entry else call.span
            cures = either(Put(place, list(flows)) for flows in _fitted(gives, len(takes)))
            message = f"`{call.prefix}` gives {len(gives)} flows; block `{call.block}` takes"
            self.findings.add(
                "NG207",
                f"{message} {len(takes)}",
                place,
                f"give {listed(takes)}",
                cures=cures,
            )
            return False
        return self.has_output(instance)

    def has_output(self, instance: Instance) -> bool:
        """Return whether a block has an answer; reported if not."""
        body = instance.body
        if body.output is None and "output" not in body.table:
            message = f"block `{body.name}` has no node `out`"
            hint = "call the node that it gives `out`, or name it: `output: ...`"
            cures = either(Add(body.table.span, "output", node) for node in body.nodes)
            self.findings.add("NG211", message, body.span, hint, cures=cures)
        return body.output is not None

    def _flat(self, body: Body, inner: Mapping[str, Instance]) -> FlatBlock | None:
        flats = {name: instance.flat for name, instance in inner.items() if instance.flat}
        if len(flats) < len(inner):
            return None
        try:
            return flatten(body, flats)
        except AliasCycleError as error:
            around = " -> ".join(call.prefix for call in error.calls)
            span = error.calls[0].span
            message = f"blocks that only pass their input on feed each other: {around}"
            self.findings.add("NG208", message, span, "let one of them start from an input")
            return None

    def _free(self, name: str) -> str:
        """Return a name for one more instance; that of its block if that has none yet."""
        taken = {instance.name for instance in self.built.values()}
        if name not in taken:
            return name
        taken |= set(self.blocks or ())
        others = (f"{name}_{number}" for number in range(2, len(taken) + 3))
        return next(other for other in others if other not in taken)


def _fitted(given: tuple[str, ...], count: int) -> list[tuple[str | Known, ...]]:
    """Return as many flows as a block takes: some of those given, or any more of the block
    around.
    """
    if len(given) > count:
        return [given[:count], given[-count:]]
    others = [Known("flow", index) for index in range(4)]
    return [(*given, *([other] * (count - len(given)))) for other in others]
