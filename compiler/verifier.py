"""Invariants of every valid program, whichever pass made it.

A breach is a fault of a pass, not of a spec, and says which pass left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nestgraph.analysis.support import OPS
from nestgraph.compiler.ir import Function, Op, Program

Rule = Callable[[Function], Iterator[str]]


class IRError(AssertionError):
    """Raised when a pass left a program that breaks a rule of the IR."""


def verify_program(program: Program, *, after: str) -> None:
    """Check every rule on every function.

    Raises:
        IRError: with all breaches; `after` names the pass that left them.
    """
    breaches = [
        f"{function.name}: {breach}"
        for function in program.functions
        for rule in RULES
        for breach in rule(function)
    ]
    if breaches:
        raise IRError(f"after pass {after}: " + "; ".join(breaches))


def _one_name_one_value(function: Function) -> Iterator[str]:
    seen = {function.input}
    for op in function.ops:
        if op.name in seen:
            yield f"%{op.name} is made twice"
        seen.add(op.name)


def _made_before_used(function: Function) -> Iterator[str]:
    made = {function.input}
    for op in function.ops:
        yield from (f"%{op.name} uses %{i} before it is made" for i in op.inputs if i not in made)
        made.add(op.name)
    if function.output not in made:
        yield f"%{function.output} is returned but never made"


def _flows_have_widths(function: Function) -> Iterator[str]:
    for op in function.ops:
        flow = op.kind not in ("memory", "write", "loop", "rates")
        if flow and (op.width is None or op.width < 1):
            yield f"%{op.name} has width {op.width}, expected at least 1"


def _memories_come_first(function: Function) -> Iterator[str]:
    for op in function.of_kind("read", "write", "rates"):
        if not op.inputs or function.op(op.inputs[0]).kind != "memory":
            yield f"%{op.name} does not name its memory first"


def _roles_fit_inputs(function: Function) -> Iterator[str]:
    for op in function.of_kind("write"):
        if len(op.texts("roles")) != len(op.inputs):
            yield f"%{op.name} has {len(op.inputs)} inputs and {len(op.texts('roles'))} roles"


def _loops_are_contiguous(function: Function) -> Iterator[str]:
    closed: set[int] = set()
    current: int | None = None
    for op in function.ops:
        if op.loop != current and current is not None:
            closed.add(current)
        if op.loop is not None and op.loop in closed:
            yield f"%{op.name} stands outside its loop {op.loop}"
        if op.loop is not None and op.loop != current and op.kind != "loop":
            yield f"loop {op.loop} does not begin with its `loop` op"
        current = op.loop


def _parts_lie_inside(function: Function) -> Iterator[str]:
    for op in function.of_kind("part"):
        whole = _width(function, op.inputs[0])
        end = op.integer("start") + (op.width or 0)
        if whole is not None and end > whole:
            yield f"%{op.name} ends at channel {end} of {whole}"


def _width(function: Function, name: str) -> int | None:
    return function.width if name == function.input else function.op(name).width


def _kinds_are_known(function: Function) -> Iterator[str]:
    yield from (f"%{op.name} is of unknown kind {op.kind}" for op in function.ops if not _known(op))


def _known(op: Op) -> bool:
    return op.kind in _KINDS


_KINDS = OPS | {"memory", "write", "read", "loop", "linears", "part", "ones", "rates"}

RULES: tuple[Rule, ...] = (
    _kinds_are_known,
    _one_name_one_value,
    _made_before_used,
    _flows_have_widths,
    _memories_come_first,
    _roles_fit_inputs,
    _loops_are_contiguous,
    _parts_lie_inside,
)
