"""What a comparison over a few tokens leaves unseen: ticks, resets, cuts and windows beyond it."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.levels import period
from nestgraph.language.system import Clock, FlatBlock, System


def unreached(system: System, tokens: int) -> tuple[str, ...]:
    """Return what does not happen within some tokens, each thing once, in the order of the spec.

    A tick or reset behind the last token is reached: it shows in the final states. Levels on
    optimizer steps never tick within a comparison, which takes none.

    Args:
        system: of a model.
        tokens: that are compared.
    """
    model = system.model
    assert model is not None, "an optimizer is never compared"
    told = dict.fromkeys(_of_blocks((layer.block for layer in model.layers), tokens))
    cut = model.horizon
    if cut is not None and cut.unit == "tokens" and cut.period >= tokens:
        told |= {f"cuts of gradients at `horizon: {cut.name}` ({period(cut)})": None}
    return tuple(told)


def _of_blocks(blocks: Iterator[FlatBlock], tokens: int) -> Iterator[str]:
    distinct = {id(block): block for block in blocks}.values()
    memories = [memory for block in distinct for memory in block.memories.values()]
    for memory in memories:
        if _is_beyond(memory.level, tokens):
            yield f"ticks of `{memory.level.name}` ({period(memory.level)})"
    for memory in memories:
        if _is_beyond(memory.reset, tokens):
            yield f"resets of `{memory.name}` ({period(memory.reset)})"
    for memory in memories:
        if (memory.net.window or 0) >= tokens:
            yield f"events that leave the window of `{memory.name}` ({memory.net.window} tokens)"


def _is_beyond(clock: Clock, tokens: int) -> bool:
    if clock.unit == "tokens":
        return clock.period > tokens
    return clock.unit == "steps" and clock.period > 1
