"""Linear maps that read one flow in one region become one matrix product.

    %q = linear(%u) {owner="q"} : 64        %q.linears = linears(%u) {owners=["q", "k"]} : 128
    %k = linear(%u) {owner="k"} : 64   ->   %q = part(%q.linears) {start=0} : 64
                                            %k = part(%q.linears) {start=64} : 64

Each map keeps its own parameter; the weights are joined once a forward.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.ir import Function, Op, Program


@dataclass(frozen=True, kw_only=True)
class MergeLinears:
    """See the module."""

    name: ClassVar[str] = "merge-linears"

    def apply(self, program: Program) -> Program:
        """Return the program with shared-input products joined."""
        return program.map(_merge)


def _merge(function: Function) -> Function:
    groups: dict[tuple[object, ...], list[Op]] = {}
    for op in function.of_kind("linear"):
        groups.setdefault((op.inputs, op.loop, op.flag("bias")), []).append(op)
    joined = {op.name: group for group in groups.values() if len(group) > 1 for op in group}
    return replace(function, ops=tuple(_rewritten(function, joined)))


def _rewritten(function: Function, joined: dict[str, list[Op]]) -> Iterator[Op]:
    for op in function.ops:
        group = joined.get(op.name)
        if group is None:
            yield op
        elif op is group[0]:
            yield from _product(group)


def _product(group: list[Op]) -> Iterator[Op]:
    first = group[0]
    name = f"{first.name}.linears"
    widths = [op.width or 0 for op in group]
    loop = {} if first.loop is None else {"loop": first.loop}
    yield Op(
        name=name,
        kind="linears",
        inputs=first.inputs,
        attrs={
            "owners": tuple(op.text("owner") for op in group),
            "bias": first.flag("bias"),
            **loop,
        },
        width=sum(widths),
        span=first.span,
    )
    for index, op in enumerate(group):
        yield Op(
            name=op.name,
            kind="part",
            inputs=(name,),
            attrs={"start": sum(widths[:index]), **loop},
            width=op.width,
            span=op.span,
        )
