"""Let a selective scan make its own retention: a `decay` that feeds it alone is folded into it.

The op would write out a number for every cell and token; the scan needs them for one chunk.

    %alpha = decay(%delta) {owner="alpha", states=16} : 4096
    %H.write = write(%H, %b, %v, %alpha) {roles=["memory", "key", "value", "retain"]}
        ->
    %H.write = write(%H, %b, %v, %delta) {decay="alpha", roles=[..., "steps"]}
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.ir import Function, Op, Program


@dataclass(frozen=True, kw_only=True)
class FoldDecay:
    """See the module."""

    name: ClassVar[str] = "fold-decay"

    def apply(self, program: Program) -> Program:
        """Return the program with decays folded into scans."""
        return program.map(_fold)


def _fold(function: Function) -> Function:
    by_name = {op.name: op for op in function.ops}
    scans = {
        m.name for m in function.of_kind("memory") if m.attrs.get("kernel") == "selective_scan"
    }
    folded = {
        op.name: decay
        for op in function.of_kind("write")
        if op.inputs[0] in scans and (decay := _decay_of(op, by_name, function))
    }
    gone = {decay.name for decay in folded.values()}
    ops = [
        _with_steps(op, folded[op.name]) if op.name in folded else op
        for op in function.ops
        if op.name not in gone
    ]
    return replace(function, ops=tuple(ops))


def _decay_of(write: Op, by_name: dict[str, Op], function: Function) -> Op | None:
    """Return the decay behind the retention, if it has a state for each column and no other
    reader.
    """
    roles = write.texts("roles")
    if "retain" not in roles:
        return None
    op, memory = by_name.get(write.inputs[roles.index("retain")]), by_name[write.inputs[0]]
    if op is None or op.kind != "decay" or "retain:cell" not in memory.texts("per"):
        return None
    columns = memory.integer("key_width") // memory.integer("heads")
    readers = sum(other.inputs.count(op.name) for other in function.ops)
    alone = readers == 1 and function.output != op.name
    return op if alone and (op.attrs.get("states") or 1) == columns else None


def _with_steps(write: Op, decay: Op) -> Op:
    at = write.texts("roles").index("retain")
    inputs, roles = list(write.inputs), list(write.texts("roles"))
    inputs[at], roles[at] = decay.inputs[0], "steps"
    changed = write.with_attrs(decay=decay.text("owner"), roles=tuple(roles))
    return replace(changed, inputs=tuple(inputs))
