"""Rates (§5): numbers, lists and flows as factors that lie over a matrix.

A factor leads with (batch, heads), either 1 where it doesn't vary, and ends as its `per` says:

    head  (1, 1)      value  (d_v, 1)      key  (1, d_k)      cell  (d_v, d_k)

so that a product with a matrix broadcasts. In a state it is kept flat, (batch, heads, n).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nestgraph.analysis.parameters import head_widths
from nestgraph.language.system import Coefficient, Memory
from nestgraph.reference.nets import Matrices, is_matrix
from nestgraph.reference.ops import in_runs


def factor(
    memory: Memory, coefficient: Coefficient, flows: Mapping[str, Tensor], like: Tensor
) -> Tensor:
    """Return a coefficient at one position."""
    if coefficient.flow is None:
        numbers = coefficient.numbers or (coefficient.number,)
        return spread(memory, coefficient, like.new_tensor([numbers])[..., None])
    flow = flows[coefficient.flow]
    if coefficient.per == "head":  # one number for all heads, or one a head
        return spread(memory, coefficient, flow[..., None])
    return spread(memory, coefficient, in_runs(flow, memory.heads))


def spread(memory: Memory, coefficient: Coefficient, flat: Tensor) -> Tensor:
    """Return (batch, heads, n) as a factor."""
    return flat.reshape(*flat.shape[:-1], *shape(memory, coefficient))


def shape(memory: Memory, coefficient: Coefficient) -> tuple[int, int]:
    """Return the last two sizes of a factor."""
    keys, values = head_widths(memory)
    shapes = {"head": (1, 1), "value": (values, 1), "key": (1, keys), "cell": (values, keys)}
    return shapes[coefficient.per]


def each_head(memory: Memory, flow: Tensor) -> Tensor:
    """Return a factor of one number a head as (batch, heads)."""
    return flow[..., 0, 0].expand(-1, memory.heads)


def on(factor: Tensor, tensor: Tensor) -> Tensor:
    """Return a factor times a matrix or a bias; nets with biases have one number a head."""
    return factor * tensor if is_matrix(tensor) else factor[..., 0] * tensor


def scaled(factor: Tensor, state: Matrices) -> Matrices:
    """Return a factor times everything in a state."""
    return tuple(on(factor, tensor) for tensor in state)
