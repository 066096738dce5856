"""How many numbers a model keeps from one token to the next, for one sequence."""

from __future__ import annotations

import math

from nestgraph.analysis.online_memories import erased_layers
from nestgraph.analysis.parameters import head_widths, state_shapes
from nestgraph.language.system import Memory, Node


def memory_numbers(memory: Memory, context: int) -> int:
    """Return numbers in the state of a memory, where attention keeps most.

    Args:
        memory: a group of the outer optimizer has no inner state.
        context: positions seen. Attention counts as it is at its fullest among them: the last of
            its window, or all but one of the period after which it is reset.
    """
    if memory.is_step_group:
        return 0
    if memory.net.kind == "attention":
        positions = _most_positions(memory, context)
        return memory.heads * sum(head_widths(memory)) * positions * len(memory.values)
    copies = 1 + _has_anchor(memory) + (memory.rule.momentum.number != 0)
    running = sum(math.prod(shape.shape) for shape in state_shapes(memory))
    return copies * running + _beside(memory) + gram_numbers(memory)


def gram_numbers(memory: Memory) -> int:
    """Return what a task memory that erases keeps of what its layers were given: squares, a head
    each.
    """
    layers = state_shapes(memory)[: erased_layers(memory)]
    return memory.heads * sum(shape.fan_in**2 for shape in layers)


def op_numbers(node: Node, width_in: int) -> int:
    """Return numbers that an op keeps: the last inputs of a convolution."""
    taps = node.fields.get("width")
    return (taps - 1) * width_in if node.op == "conv" and isinstance(taps, int) else 0


def _has_anchor(memory: Memory) -> bool:
    """Return a memory that commits at every token has its running state for an anchor.

    So has one that the model's loss moves: it has one state, and only ticks move it. What such
    memories keep of an open period, to take its gradient, is not counted here: it grows within
    the period and goes with it.
    """
    every_token = memory.level.unit == "tokens" and memory.level.period == 1
    return not (every_token or memory.is_online)


def _beside(memory: Memory) -> int:
    """Return what is kept of a period's retention, its share, and the events of a window."""
    slow, heads = _has_anchor(memory), memory.heads
    retention = heads if memory.rule.retain_first and slow else 0
    share = heads if memory.rule.reduce != "sum" else 0
    past = (memory.objective.window - 1) * len(memory.values)
    return retention + share + past * heads * _of_an_event(memory)


def _of_an_event(memory: Memory) -> int:
    """Return one head's key, value and rate, and where its error turns if a flow says so."""
    d_k, d_v = head_widths(memory)
    rate = {"head": 1, "value": d_v, "key": d_k, "cell": d_v * d_k}[memory.rule.rate.per]
    delta = memory.objective.delta
    return d_k + d_v + rate + (delta is not None and delta.flow is not None)


def _most_positions(memory: Memory, context: int) -> int:
    """Return positions that attention holds at most; a reset comes at the end of its last
    position.
    """
    most = min(context, memory.net.window or context)
    reset = memory.reset
    return min(most, reset.period - 1) if reset and reset.unit == "tokens" else most
