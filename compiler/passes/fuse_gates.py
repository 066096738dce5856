"""An RMS norm takes on the SiLU gate that multiplies it, if nothing else wants either.

    %z = rms_norm(%y) {heads=4, owner="z"} : 256
    %gate = silu(%gate.base) {owner="gate.then0"} : 256     ->
    %g = product(%z, %gate) {owner="g"} : 256

    %g = rms_norm(%y, %gate.base) {gate=true, heads=4, owner="z"} : 256

One walk over both flows then does what five passes did.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.ir import Function, Op, Program


@dataclass(frozen=True, kw_only=True)
class FuseGates:
    """See the module."""

    name: ClassVar[str] = "fuse-gates"

    def apply(self, program: Program) -> Program:
        """Return the program with gates folded into the norms that they multiply."""
        return program.map(_fuse)


def _fuse(function: Function) -> Function:
    counts = Counter(name for op in function.ops for name in op.inputs)
    counts[function.output] += 1
    alone = {op.name: op for op in function.ops if counts[op.name] == 1}
    joined: dict[str, Op] = {}
    gone: set[str] = set()
    for product in function.of_kind("product"):
        parts = {part.kind: part for name in product.inputs if (part := alone.get(name))}
        norm, gate = parts.get("rms_norm"), parts.get("silu")
        if norm is None or gate is None or len(product.inputs) != 2:
            continue
        if not norm.loop == gate.loop == product.loop:
            continue
        joined[product.name] = _joined(product, norm, gate)
        gone |= {norm.name, gate.name}
    ops = [joined.get(op.name, op) for op in function.ops if op.name not in gone]
    return replace(function, ops=tuple(ops))


def _joined(product: Op, norm: Op, gate: Op) -> Op:
    inputs = (*norm.inputs, *gate.inputs)
    return replace(norm.with_attrs(gate=True), name=product.name, inputs=inputs)
