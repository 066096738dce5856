"""What the answers of a memory are for: keys, values or questions of others, or the output.

Followed from flow to flow through the ops of a block, those of inner blocks included, up to the
next memory that learns in context.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from nestgraph.language.system import FlatBlock, Memory, Read
from nestgraph.shapes.flows import memory_flows


class Role(StrEnum):
    """What a flow is to whoever takes it last."""

    KEY = "key"
    VALUE = "value"
    QUERY = "query"
    OTHER = "other"

    @property
    def many(self) -> str:
        """The word for several of them."""
        return "queries" if self is Role.QUERY else f"{self}s"


_OF_FIELDS = {"keys": Role.KEY, "rule.erase.key": Role.KEY, "values": Role.VALUE}


def makers(block: FlatBlock, role: Role) -> frozenset[str]:
    """Return the memories that learn in context and only answer what others take in one role.

    Args:
        block: of whose memories.
        role: `key` for memories that make keys, and so on.
    """
    takers = _takers(block)
    found: dict[str, set[Role]] = {}
    for read in block.nodes.values():
        if isinstance(read, Read) and _makes(block.memories[read.memory]):
            found.setdefault(read.memory, set()).update(_roles(read.name, takers))
    return frozenset(name for name, roles in found.items() if roles == {role})


def _makes(memory: Memory) -> bool:
    return not memory.is_step_group and memory.net.kind != "attention"


def _roles(flow: str, takers: dict[str, list[str | Role]]) -> set[Role]:
    """Return the roles of a flow and of all that is made from it."""
    roles: set[Role] = set()
    seen: set[str] = set()
    todo = [flow]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for taker in takers.get(name, ()):
            if isinstance(taker, Role):
                roles.add(taker)
            else:
                todo.append(taker)
    return roles


def _takers(block: FlatBlock) -> dict[str, list[str | Role]]:
    """Return what takes each flow: another flow that is made from it, or the role in which it
    ends.
    """
    takers: dict[str, list[str | Role]] = {}
    for flow, taker in _taken(block):
        takers.setdefault(flow, []).append(taker)
    return takers


def _taken(block: FlatBlock) -> Iterator[tuple[str, str | Role]]:
    for node in block.nodes.values():
        if not isinstance(node, Read):
            yield from ((flow, node.name) for flow in node.inputs)
        elif node.query is not None:
            learns = not block.memories[node.memory].is_step_group
            yield node.query, Role.QUERY if learns else node.name
    for memory in block.memories.values():
        for field, flow in memory_flows(memory):
            yield flow, _OF_FIELDS.get(field, Role.OTHER)
    if block.output is not None:
        yield block.output, Role.OTHER
