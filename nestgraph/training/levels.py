"""How often the levels of a spec move: those on steps by the optimizer, those on tokens here."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.levels import instances
from nestgraph.language.system import Memory, System


def token_memories(system: System) -> Iterator[tuple[str, Memory]]:
    """Yield the memories that commit on tokens, by ids such as `3.hope.a.M`; attention never
    does.
    """
    for path, block in instances(system):
        for memory in block.memories.values():
            if memory.level.unit == "tokens" and memory.net.kind != "attention":
                yield f"{path}.{memory.name}", memory


def token_levels(system: System) -> dict[str, int]:
    """Return periods, in tokens, of the levels on which memories of the context commit."""
    return {memory.level.name: memory.level.period for _, memory in token_memories(system)}


def commits(period: int, time: int) -> int:
    """Return ticks of a level within a sequence: a tick needs the first token of the next
    period.
    """
    return (time - 1) // period
