"""How a semantic rule is written: one small function, registered under its code.

A rule yields a `Finding` for every place that breaks it. It sees either the whole system, or,
one at a time, every distinct block, memory or node of it, together with its `Scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from nestgraph.errors import Diagnostic, Severity, Span
from nestgraph.language.system import FlatBlock, Memory, Node, Read, System
from nestgraph.shapes.flows import Reads, memory_flows, reads_by_memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a rule found: one sentence of cause, one of cure, and the place."""

    message: str
    hint: str
    span: Span | None


@dataclass(frozen=True)
class Scope:
    """One block and where it runs."""

    system: System
    block: FlatBlock

    @property
    def in_model(self) -> bool:
        """Return whether the block runs on tokens (and not in an optimizer, on steps)."""
        return self.system.model is not None

    @cached_property
    def used(self) -> frozenset[str]:
        """Flows that a node, a memory or the block's output asks for."""
        names = {self.block.output or ""}
        for node in self.block.nodes.values():
            names.update(flows_into(node))
        for memory in self.block.memories.values():
            names.update(flow for _, flow in memory_flows(memory))
        return frozenset(names)

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The place of each node in the file."""
        return {name: place for place, name in enumerate(self.block.nodes)}

    @cached_property
    def reads(self) -> Reads:
        """The reads of each memory that has any."""
        return reads_by_memory(self.block)

    @cached_property
    def starts(self) -> frozenset[str]:
        """Memories that others start as."""
        return frozenset(m.init.memory or "" for m in self.block.memories.values())

    @cached_property
    def owners(self) -> Mapping[str, Node]:
        """Ops by the owner of their parameters."""
        nodes = self.block.nodes.values()
        return {node.owner: node for node in nodes if isinstance(node, Node)}

    def label(self, name: str) -> str:
        """Return the name as its author wrote it: without instance prefix and chain suffix."""
        head, _, tail = name.rpartition(".")
        links = tail == "base" or (tail.startswith("then") and tail[4:].isdigit())
        if links and head in self.block.nodes:
            name = head
        return name.rpartition(".")[2]


def flows_into(node: Node | Read) -> tuple[str, ...]:
    """Return the flows that a node is made from, not counting what a read's memory was written
    with.
    """
    if isinstance(node, Node):
        return node.inputs
    return () if node.query is None else (node.query,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A registered rule."""

    code: str
    severity: Severity
    name: str
    find: Callable[[System, tuple[Scope, ...]], Iterable[Finding]]

    def __call__(self, system: System, scopes: tuple[Scope, ...]) -> Iterator[Diagnostic]:
        for found in self.find(system, scopes):
            yield Diagnostic(
                code=self.code,
                message=found.message,
                hint=found.hint,
                span=found.span,
                severity=self.severity,
            )


RULES: list[Rule] = []

SystemRule = Callable[[System], Iterable[Finding]]
BlockRule = Callable[[Scope], Iterable[Finding]]
MemoryRule = Callable[[Scope, Memory], Iterable[Finding]]
NodeRule = Callable[[Scope, Node], Iterable[Finding]]
ReadRule = Callable[[Scope, Read, Memory], Iterable[Finding]]


def system_rule(code: str, severity: Severity = "error") -> Callable[[SystemRule], SystemRule]:
    """Register a rule that looks at the whole system."""

    def register(rule: SystemRule) -> SystemRule:
        _add(code, severity, rule.__name__, lambda system, _: rule(system))
        return rule

    return register


def block_rule(code: str, severity: Severity = "error") -> Callable[[BlockRule], BlockRule]:
    """Register a rule that looks at each block."""

    def register(rule: BlockRule) -> BlockRule:
        def find(_: System, scopes: tuple[Scope, ...]) -> Iterator[Finding]:
            for scope in scopes:
                yield from rule(scope)

        _add(code, severity, rule.__name__, find)
        return rule

    return register


def memory_rule(code: str, severity: Severity = "error") -> Callable[[MemoryRule], MemoryRule]:
    """Register a rule that looks at each memory."""

    def register(rule: MemoryRule) -> MemoryRule:
        def find(_: System, scopes: tuple[Scope, ...]) -> Iterator[Finding]:
            for scope in scopes:
                for memory in scope.block.memories.values():
                    yield from rule(scope, memory)

        _add(code, severity, rule.__name__, find)
        return rule

    return register


def node_rule(code: str, severity: Severity = "error") -> Callable[[NodeRule], NodeRule]:
    """Register a rule that looks at each op."""

    def register(rule: NodeRule) -> NodeRule:
        def find(_: System, scopes: tuple[Scope, ...]) -> Iterator[Finding]:
            for scope in scopes:
                for node in scope.block.nodes.values():
                    if isinstance(node, Node):
                        yield from rule(scope, node)

        _add(code, severity, rule.__name__, find)
        return rule

    return register


def read_rule(code: str, severity: Severity = "error") -> Callable[[ReadRule], ReadRule]:
    """Register a rule that looks at each read and the memory that it asks."""

    def register(rule: ReadRule) -> ReadRule:
        def find(_: System, scopes: tuple[Scope, ...]) -> Iterator[Finding]:
            for scope in scopes:
                for node in scope.block.nodes.values():
                    if isinstance(node, Read):
                        yield from rule(scope, node, scope.block.memories[node.memory])

        _add(code, severity, rule.__name__, find)
        return rule

    return register


def _add(
    code: str,
    severity: Severity,
    name: str,
    find: Callable[[System, tuple[Scope, ...]], Iterable[Finding]],
) -> None:
    RULES.append(Rule(code=code, severity=severity, name=name, find=find))
