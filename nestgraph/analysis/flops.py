"""FLOPs of one position, forward, as the definition reads: one position after another.

Only matrix products are counted, 2 FLOPs for each multiplication and addition. Norms,
activations, gates and convolutions of a few taps cost none. A backward pass takes about twice
as much as its forward.

Legend: h heads, d_k and d_v the widths of one head, w the numbers in all matrices of a memory,
`below` those but the last matrix's, `above` those but the first one's, T positions of a sequence.
"""

from __future__ import annotations

import math

from nestgraph.analysis.online_memories import erased_layers
from nestgraph.analysis.parameters import head_widths, state_shapes
from nestgraph.analysis.state_sizes import gram_numbers
from nestgraph.language.system import Memory, Node, Read

BACKWARD = 2
"""FLOPs of a backward pass over those of its forward."""


def op_flops(node: Node, width_in: int) -> int:
    """Return FLOPs of an op: 2 W_in W_out for a linear map."""
    return 2 * width_in * (node.width or 0) if node.op == "linear" else 0


def read_flops(read: Read, memory: Memory, context: int) -> float:
    """Return FLOPs of a read: 2 w; of attention 2 h (d_k + d_v) for each event that it sees.

    Args:
        read: of this memory.
        memory: what is asked.
        context: T. A causal sequence sees (T + 1) / 2 positions in the mean.
    """
    if memory.net.kind == "attention":
        return 2 * memory.heads * sum(head_widths(memory)) * _seen(memory, read, context)
    return 2 * sum(_matrices(memory)) if read.query is not None else 0


def write_flops(memory: Memory) -> int:
    """Return FLOPs of a write: the error, its way back (2 above), the update (2 w), the erase."""
    if memory.is_step_group or memory.net.kind in ("attention", "vector"):
        return 0  # a group of the optimizer writes in the backward pass of the model
    if erased_layers(memory):
        return 2 * gram_numbers(memory) + _direction(memory)
    matrices, events = _matrices(memory), len(memory.values)
    gradient = _error(memory) + 2 * sum(matrices[1:]) + 2 * sum(matrices)
    return events * (memory.objective.window * gradient + _erase(memory)) + _direction(memory)


def _matrices(memory: Memory) -> list[int]:
    """Return numbers in each matrix of all heads, the input side first."""
    if memory.net.kind == "vector":
        return []
    return [math.prod(shape.shape) for shape in state_shapes(memory) if shape.is_matrix]


def _error(memory: Memory) -> int:
    """Return what one event's answer costs: 2 w, and for a self value 2 below more.

    The last layer of a self value meets the difference of two inputs, unless a norm follows it.
    The gradient of −⟨answer, value⟩ needs only what the last layer is given.
    """
    matrices = _matrices(memory)
    below = 2 * sum(matrices[:-1])
    if memory.self_values:
        return 2 * sum(matrices) + (below if memory.net.norm == "none" else 2 * sum(matrices))
    return below if memory.objective.kind == "dot" else 2 * sum(matrices)


def _erase(memory: Memory) -> int:
    """Return what lies under a key is asked for, and taken away: 4 for each number of the
    matrix.
    """
    erase, matrices = memory.rule.erase, _matrices(memory)
    if erase.where == "layers":
        return 4 * sum(matrices)
    return 4 * matrices[0] if erase.where == "key" or erase.key is not None else 0


def _direction(memory: Memory) -> int:
    """Return three products for each iteration of Newton and Schulz, on the smaller side."""
    if memory.rule.direction != "newton_schulz":
        return 0
    return memory.rule.direction_steps * sum(
        _iteration(*shape.shape) for shape in state_shapes(memory) if len(shape.shape) == 3
    )


def _iteration(heads: int, rows: int, columns: int) -> int:
    """Return X Xᵀ, its square, and their sum times X."""
    small, large = sorted((rows, columns))
    return 2 * heads * (2 * small**2 * large + small**3)


def _seen(memory: Memory, read: Read, context: int) -> float:
    """Return events that a read of attention sees, in the mean over the positions of a sequence."""
    if memory.reset.unit == "tokens":
        context = min(context, memory.reset.period)
    window = min(context, memory.net.window or context)
    mean = window - window * (window - 1) / (2 * context)  # 1, 2, … up to the window, then it
    positions = mean - 1 if read.at == "before" else mean
    return len(memory.values) * positions + (memory.init.entries or 0)
