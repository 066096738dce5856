"""How often the levels of a spec move: those on steps by the optimizer, those on tokens here."""

from __future__ import annotations

from nestgraph.system import System


def token_levels(system: System) -> dict[str, int]:
    """Periods, in tokens, of the levels on which memories of the context commit."""
    blocks = [layer.block for layer in system.model.layers] if system.model else []
    memories = [memory for block in blocks for memory in block.memories.values()]
    return {
        memory.level.name: memory.level.period
        for memory in memories
        if memory.level.unit == "tokens" and memory.net.kind != "attention"
    }


def commits(period: int, time: int) -> int:
    """Ticks of a level within a sequence: a tick needs the first token of the next period."""
    return (time - 1) // period
