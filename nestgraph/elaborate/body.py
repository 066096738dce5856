"""One block with its vars filled in: its own nodes and memories, not yet those of inner blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nestgraph import schema
from nestgraph.elaborate.memories import MemoryBuilder, with_likes
from nestgraph.elaborate.names import Names, declared, is_broken
from nestgraph.elaborate.nodes import Call, NodeBuilder
from nestgraph.elaborate.ties import tied
from nestgraph.errors import Span
from nestgraph.findings import Findings
from nestgraph.language.system import Clock, Memory, Node, Read
from nestgraph.recovery.fixes import Drop, Put, either
from nestgraph.schema import check_node, mended_each, stand_ins, validate
from nestgraph.schema.follow import known_keys
from nestgraph.text.tree import Scalar, Table, Tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """A block's own parts under their local names."""

    name: str
    inputs: tuple[str, ...]
    memories: dict[str, Memory]
    nodes: dict[str, Node | Read | Call]
    output: str | None
    table: Table  # vars filled in, `like` spelled out, `vars` left out
    span: Span


class BodyBuilder:
    """Checks one block and builds its body."""

    def __init__(
        self, name: str, key: Span, clocks: dict[str, Clock | None], findings: Findings
    ) -> None:
        self.name = name
        self.key = key
        self.clocks = clocks
        self.findings = findings

    def build(self, table: Table) -> Body:
        """Return the body of a block whose arithmetic has been carried out."""
        own = self._section(table, "memories")
        own = mended_each(own, known_keys(schema.Memory), "memory", self.findings)
        memories = with_likes(own, self.findings)
        nodes = self._section(table, "nodes")
        shell = validate(
            schema.Block, table.without("memories", "nodes", "vars"), self._where(), self.findings
        )
        inputs = tuple(shell.inputs) if shell is not None else ("x",)
        taken = self._input_names(table, inputs)
        declared(memories, "memory", self.findings, taken)
        declared(nodes, "node", self.findings, taken)
        names = Names(self.name, (*inputs, *nodes), memories, self.clocks, self.findings)
        return Body(
            name=self.name,
            inputs=inputs,
            memories=self._memories(memories, names),
            nodes=tied(self._nodes(nodes, names), names),
            output=self._output(table, shell, names),
            table=_replaced(table, memories, nodes),
            span=self.key,
        )

    def _where(self) -> str:
        return f"block `{self.name}`"

    def _section(self, table: Table, key: str) -> Table:
        tree = table.get(key)
        if isinstance(tree, Table):
            return tree
        if tree is not None and not (isinstance(tree, Scalar) and tree.value is None):
            cures = either([Put(tree.span, {})])
            self.findings.wrong(f"`{key}` of {self._where()}", tree, "a mapping", cures=cures)
        return Table({}, table.span)

    def _input_names(self, table: Table, inputs: tuple[str, ...]) -> dict[str, Span]:
        tree = table.get("inputs")
        span = tree.span if tree is not None else self.key
        taken: dict[str, Span] = {}
        for index, name in enumerate(inputs):
            place = Names(self.name, (), (), {}, self.findings).span(table, ("inputs", index), span)
            if name in taken:
                message, cures = f"input `{name}` comes twice", either([Drop(place)])
                self.findings.add("NG206", message, place, "delete one", cures=cures)
            taken[name] = place
        return taken

    def _memories(self, tables: Table, names: Names) -> dict[str, Memory]:
        built: dict[str, Memory] = {}
        seen: set[tuple[str, Span | None]] = set()
        for name, entry in tables.entries.items():
            table = self._table(entry.value, f"memory `{name}`")
            if table is None:
                continue
            found = Findings()
            found.vars = self.findings.vars
            model = validate(schema.Memory, table, f"memory `{name}`", found)
            # What a memory took by `like` was reported where it was written.
            self.findings.take(found, (one for one in found if (one.code, one.span) not in seen))
            seen |= {(one.code, one.span) for one in found}
            if model is not None:
                built[name] = MemoryBuilder(name, entry.key, table, names).build(model)
        return built

    def _nodes(self, tables: Table, names: Names) -> dict[str, Node | Read | Call]:
        built: dict[str, Node | Read | Call] = {}
        for name, entry in tables.entries.items():
            node = check_node(entry.value, f"node `{name}`", self.findings)
            if node is None:
                continue
            for part in NodeBuilder(name, entry.key, node.table, names).build(node):
                built[part.name] = part
        return built

    def _table(self, tree: Tree, where: str) -> Table | None:
        if isinstance(tree, Table):
            return tree
        cures = either(Put(tree.span, one) for one in stand_ins.memories(stand_ins.FLOWS))
        self.findings.wrong(where, tree, "a mapping", cures=cures)
        return None

    def _output(self, table: Table, shell: schema.Block | None, names: Names) -> str | None:
        if shell is None or is_broken(table, "output"):
            return None
        if shell.output is not None:
            span = names.span(table, ("output",), self.key)
            return names.flow(shell.output, "output", span)
        return "out" if "out" in names.flows else None


def _replaced(table: Table, memories: Table, nodes: Table) -> Table:
    entries = {
        key: replace(entry, value={"memories": memories, "nodes": nodes}.get(key, entry.value))
        for key, entry in table.entries.items()
        if key != "vars"
    }
    return Table(entries, table.span)
