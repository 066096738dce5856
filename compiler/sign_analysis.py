"""Which flows can never be zero or negative, read off the ops that make them.

Products of retentions go through logarithms, which is fast but only right for positive
factors; the select pass asks here whether a flow is one.
"""

from __future__ import annotations

from collections.abc import Mapping

from nestgraph.compiler.ir import Op

_ALWAYS = frozenset({"sigmoid", "softplus", "exp", "decay", "softmax"})
_PASSES_ON = frozenset({"product", "divide", "mean", "total", "tile", "repeat", "slice", "part"})


def is_positive(flow: str, ops: Mapping[str, Op]) -> bool:
    """Return whether every number of `flow` is above zero whatever the weights are."""
    op = ops.get(flow)
    if op is None:
        return False
    if op.kind in _ALWAYS:
        return True
    if op.kind == "affine":
        grows = op.number("scale") > 0 and op.number("shift") >= 0
        return grows and is_positive(op.inputs[0], ops)
    if op.kind == "max":
        return any(is_positive(name, ops) for name in op.inputs)
    if op.kind in _PASSES_ON:
        return all(is_positive(name, ops) for name in op.inputs)
    return False
