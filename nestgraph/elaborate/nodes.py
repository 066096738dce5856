"""A node's table and model to the nodes of the system, its `then` chain spelled out."""

from __future__ import annotations

from dataclasses import dataclass

from nestgraph.elaborate.names import Names, spans
from nestgraph.errors import Span
from nestgraph.language.system import Node, Read
from nestgraph.schema import AnyNode, BlockNode, CheckedNode, Op, ReadNode
from nestgraph.schema.ops import op_name
from nestgraph.text.tree import Table, Tree

NOT_FIELDS = {"op", "in_", "then", "tie"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A node that is an instance of another block."""

    name: str  # the flow that the instance's answer has: `a`, or `a.base` before a chain
    prefix: str  # of the instance's own names
    block: str
    inputs: tuple[str, ...]
    table: Table
    span: Span


class NodeBuilder:
    """Builds one node, checking every name in it."""

    def __init__(self, name: str, key: Span, table: Table, names: Names) -> None:
        self.name = name
        self.key = key
        self.table = table
        self.names = names

    def build(self, node: CheckedNode) -> list[Node | Read | Call]:
        """Return the parts that the model describes: itself, then its chain."""
        chain = node.chain
        first = f"{self.name}.base" if chain else self.name
        parts: list[Node | Read | Call] = [self._first(first, node.model)]
        for index, (step, tree) in enumerate(chain):
            last = index == len(chain) - 1
            name = self.name if last else f"{self.name}.then{index}"
            if step is not None:
                parts.append(self._step(name, index, step, tree, parts[-1].name))
        return parts

    def _first(self, name: str, model: AnyNode) -> Node | Read | Call:
        if isinstance(model, ReadNode):
            return self._read(name, model)
        if isinstance(model, BlockNode):
            inputs = self._inputs(model.in_)
            return Call(
                name=name,
                prefix=self.name,
                block=model.block,
                inputs=inputs,
                table=self.table,
                span=self.key,
            )
        return Node(
            name=name,
            owner=self.name,
            op=op_name(type(model)),
            inputs=self._inputs(getattr(model, "in_", [])),
            fields=self._fields(model, self.table),
            tie=getattr(model, "tie", None),
            span=self.key,
            spans=spans(self.table),
        )

    def _read(self, name: str, model: ReadNode) -> Read:
        self.names.memory(model.read, "read", self._span("read"))
        if model.query is not None:
            self.names.flow(model.query, "query", self._span("query"))
        return Read(
            name=name,
            owner=self.name,
            memory=model.read,
            query=model.query,
            at=model.at,
            span=self.key,
            spans=spans(self.table),
        )

    def _inputs(self, given: str | list[str]) -> tuple[str, ...]:
        if isinstance(given, str):
            return (self.names.flow(given, "in", self._span("in")),)
        return tuple(
            self.names.flow(flow, "in", self._span("in", index)) for index, flow in enumerate(given)
        )

    def _step(self, name: str, index: int, step: Op, tree: Tree, before: str) -> Node:
        table = tree if isinstance(tree, Table) else Table({}, tree.span)
        return Node(
            name=name,
            owner=f"{self.name}.then{index}",
            op=op_name(type(step)),
            inputs=(before,),
            fields=self._fields(step, table),
            span=tree.span,
            spans=spans(table),
        )

    def _fields(self, model: Op, table: Table) -> dict[str, object]:
        fields = model.model_dump(exclude=NOT_FIELDS)
        for field in ("since", "level"):
            if fields.get(field) is not None:
                span = self.names.span(table, (field,), self.key)
                self.names.level(fields[field], field, span)
        return {
            field: tuple(value) if isinstance(value, list) else value
            for field, value in fields.items()
        }

    def _span(self, *path: str | int) -> Span:
        return self.names.span(self.table, path, self.key)
