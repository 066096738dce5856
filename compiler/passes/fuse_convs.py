"""A convolution takes on the SiLU and the l2 norm that follow it and that nothing else precedes.

    %k.then0 = conv(%k.base) {owner="k.then0"} : 256
    %k.then1 = silu(%k.then0) {owner="k.then1"} : 256       ->
    %k = l2_norm(%k.then1) {heads=4, owner="k.then2"} : 256

    %k = conv(%k.base) {owner="k.then0", silu=true, unit=4} : 256

One pass over the flow then does what five did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.ir import Function, Op, Program


@dataclass(frozen=True, kw_only=True)
class FuseConvs:
    """See the module."""

    name: ClassVar[str] = "fuse-convs"

    def apply(self, program: Program) -> Program:
        """Return the program with what follows convolutions folded into them."""
        return program.map(_fuse)


def _fuse(function: Function) -> Function:
    counts = Counter(name for op in function.ops for name in op.inputs)
    counts[function.output] += 1
    readers = {name: op for op in function.ops for name in op.inputs if counts[name] == 1}
    joined: dict[str, Op] = {}
    gone: set[str] = set()
    for conv in function.of_kind("conv"):
        chain = _chain(conv, readers)
        if len(chain) > 1:
            gone |= {op.name for op in chain}
            joined[chain[-1].name] = _joined(chain)
    # In place of the last one: what reads it comes behind, what the first one reads before.
    ops = [
        joined.get(op.name, op) for op in function.ops if op.name not in gone or op.name in joined
    ]
    return replace(function, ops=tuple(ops))


def _chain(conv: Op, readers: Mapping[str, Op]) -> list[Op]:
    """Return the convolution and what it can take on, in this order."""
    chain = [conv]
    for kind in ("silu", "l2_norm"):
        after = readers.get(chain[-1].name)
        if after is not None and after.kind == kind and after.loop == conv.loop:
            chain.append(after)
    return chain


def _joined(chain: list[Op]) -> Op:
    kinds = {op.kind: op for op in chain}
    attrs: dict[str, bool | int] = {"silu": "silu" in kinds}
    if "l2_norm" in kinds:
        attrs["unit"] = kinds["l2_norm"].integer("heads", 1)
    return replace(chain[0].with_attrs(**attrs), name=chain[-1].name)
