"""What the parts of one block may name, and the findings when they name something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nestgraph.errors import Span
from nestgraph.findings import Findings, did_you_mean, near_names, other_names
from nestgraph.language.system import Clock
from nestgraph.recovery.fixes import Cures, Define, Rename, either
from nestgraph.schema import stand_ins
from nestgraph.schema.wording import FLOWS
from nestgraph.text.tree import BROKEN, Scalar, Table, at

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
RESERVED = re.compile(r"base\Z|then[0-9]+\Z")  # the flows of a `then` chain


def spans(table: Table, prefix: str = "") -> dict[str, Span]:
    """Return places of a table's fields by dotted name; mappings and lists stand at their key."""
    found: dict[str, Span] = {}
    for key, entry in table.entries.items():
        scalar = isinstance(entry.value, Scalar)
        found[prefix + key] = entry.value.span if scalar else entry.key
        if isinstance(entry.value, Table):
            found |= spans(entry.value, f"{prefix}{key}.")
    return found


class Names:
    """The names that one block can use: its flows and memories, and the file's levels."""

    def __init__(
        self,
        block: str,
        flows: Iterable[str],
        memories: Iterable[str],
        clocks: Mapping[str, Clock | None],
        findings: Findings,
    ) -> None:
        self.block = block
        self.flows = tuple(flows)
        self.memories = tuple(memories)
        self.clocks = clocks
        self.findings = findings
        self._all_flows = frozenset(self.flows)
        self._all_memories = frozenset(self.memories)

    def flow(self, name: str, field: str, span: Span) -> str:
        """Return a flow field's name, reported if it is no flow of the block."""
        if name in self._all_flows:
            return name
        if name in self._all_memories:
            hint = f"read it: `{{read: {name}, query: ...}}`"
            message, cures = f"`{name}` is a memory, not a flow", other_names(span, self.flows)
            self.findings.add("NG202", message, span, hint, cures=cures)
            return name
        message, usual = (
            f"`{field}: {name}` names no flow here",
            f"name a node or input of `{self.block}`",
        )
        if not self.findings.helps:
            self.findings.add("NG201", message, span, usual)
            return name
        hint = did_you_mean(name, self.flows) or usual
        if name in self.findings.vars and field not in FLOWS:  # else a number
            hint = f"did you mean `${name}`?"
        nodes = stand_ins.nodes(self.flows) if self.flows else []
        cures = near_names(span, name, self.flows, self._missing("nodes", name, span, nodes))
        self.findings.add("NG201", message, span, hint, cures=cures)
        return name

    def memory(self, name: str, field: str, span: Span) -> str:
        """Return a memory field's name, reported if it is no memory of the block."""
        if name in self._all_memories:
            return name
        if name in self._all_flows:
            hint = f"take the flow by its name, `{name}`"
            message, cures = f"`{name}` is a flow, not a memory", other_names(span, self.memories)
            self.findings.add("NG203", message, span, hint, cures=cures)
            return name
        message, usual = (
            f"`{field}: {name}` names no memory here",
            f"name a memory of `{self.block}`",
        )
        if not self.findings.helps:
            self.findings.add("NG203", message, span, usual)
            return name
        hint = did_you_mean(name, self.memories) or usual
        memories = stand_ins.memories(self.flows) if self.flows else []
        missing = self._missing("memories", name, span, memories)
        cures = near_names(span, name, self.memories, missing)
        self.findings.add("NG203", message, span, hint, cures=cures)
        return name

    def level(self, name: str, field: str, span: Span) -> Clock | None:
        """Return the clock of a level, reported if there is none."""
        if name in self.clocks:
            return self.clocks[name]
        hint = did_you_mean(name, self.clocks) or "declare it in `levels`"
        if re.match(r"\d+ *(token|step)", name):
            hint = f"give it a name: `levels: {{fast: {name}}}`"
        missing = [Define(span, ("levels",), name, clock) for clock in stand_ins.CLOCKS]
        cures = near_names(span, name, self.clocks, missing)
        self.findings.add("NG204", f"`{field}: {name}` names no level", span, hint, cures=cures)
        return None

    def _missing(
        self, section: str, name: str, span: Span, values: Iterable[object]
    ) -> list[Define]:
        """Return what a name may mean that nobody has defined."""
        path = ("blocks", self.block, section)
        return [Define(span, path, name, value) for value in values]

    def span(self, table: Table, path: tuple[str | int, ...], fallback: Span) -> Span:
        """Return the place of a value inside a table."""
        tree, found = at(table, path)
        return tree.span if found else fallback


def declared(tree: Table, kind: str, findings: Findings, taken: dict[str, Span]) -> None:
    """Check the names that a table declares, and add them to those taken."""
    for name, entry in tree.entries.items():
        if not NAME.match(name):
            message = f"{kind} `{name}` is not a name"
            hint = "letters, digits and `_`, with a letter first"
            findings.add("NG206", message, entry.key, hint, cures=_renamed(entry.key))
        elif RESERVED.match(name):
            message = f"`{name}` names a step of `then` chains"
            hint, cures = "choose another name", _renamed(entry.key)
            findings.add("NG206", message, entry.key, hint, cures=cures)
        elif name in taken:
            message = f"`{name}` already names something on line {taken[name].line}"
            hint = "inputs, nodes and memories share their names; choose another"
            keys = (entry.key, taken[name])
            cures = either(Rename(key, f"{name}_again") for key in keys)
            findings.add("NG206", message, entry.key, hint, cures=cures)
        taken.setdefault(name, entry.key)


def _renamed(key: Span) -> Cures:
    return Cures(((Rename(key, f"name_on_line_{key.line}", throughout=True),),))


def is_broken(table: Table, key: str) -> bool:
    """Return whether a field holds a scalar that already has its finding."""
    value = table.get(key)
    return isinstance(value, Scalar) and value.value is BROKEN
