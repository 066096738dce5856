"""Which functions run the same kernels over the same shapes, so that one costs what another does.

Layers that differ in a rate or a scale compute other numbers by the same products. A number has
a part in the choice of kernels only by being zero, one or minus one, by its sign, and by being
equal to another one; all else of an op counts as it is.
"""

from __future__ import annotations

from collections.abc import Hashable

from nestgraph.compiler.ir import Attr, Function, Op

_OF_NUMBERS = ("write", "affine")  # ops whose numbers are only multiplied and added
_TOLD = ("why",)  # words for the reader


def cost_key(function: Function) -> Hashable:
    """Return what is equal for functions that cost the same; their layers may be others."""
    known: dict[float, int] = {}
    ops = tuple(_of_op(op, known) for op in function.ops)
    return function.input, function.width, function.output, ops


def _of_op(op: Op, known: dict[float, int]) -> Hashable:
    attrs = {key: value for key, value in op.attrs.items() if key not in _TOLD}
    if op.kind in _OF_NUMBERS:
        attrs = {key: _unnumbered(value, known) for key, value in attrs.items()}
    return op.name, op.kind, op.inputs, op.width, tuple(sorted(attrs.items()))


def _unnumbered(value: Attr, known: dict[float, int]) -> Attr:
    """Return an attribute whose numbers are told by what kernels see of them."""
    if isinstance(value, tuple):
        return tuple(_unnumbered(item, known) for item in value)
    if not isinstance(value, float) or value in (-1, 0, 1):
        return value
    return "above" if value > 0 else "below", known.setdefault(value, len(known))
