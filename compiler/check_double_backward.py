"""Refusals of specs whose gradients would have to be differentiated once more."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.compiler.ir import Program
from nestgraph.compiler.online_memories import fast_ops
from nestgraph.compiler.passes.select import CLOSED, LOOPED
from nestgraph.errors import Diagnostic

ONCE = CLOSED | LOOPED  # kernels with a backward of their own, which has no derivative


def once_only(program: Program) -> tuple[Diagnostic, ...]:
    """Return online memories with `gradient: full` beside memories whose kernels have one backward.

    A full step holds a gradient of the model's loss, through every kernel of the model.
    """
    return tuple(dict.fromkeys(_findings(program)))


def _findings(program: Program) -> Iterator[Diagnostic]:
    full = next((op for _, op in fast_ops(program) if op.attrs["gradient"] == "full"), None)
    kernels = {
        op.name: op.text("kernel")
        for function in program.functions
        for op in function.of_kind("memory")
    }
    once = next(((name, kernel) for name, kernel in kernels.items() if kernel in ONCE), None)
    if full is None or once is None:
        return
    yield Diagnostic(
        code="NG914",
        message=f"`{full.name}` has `gradient: full`, whose step is differentiated itself, but "
        f"`{once[0]}` is computed by `{once[1]}`, which can be differentiated once only",
        hint="choose `gradient: first_order` or `none`; the reference interpreter runs `full`",
        span=full.span,
    )
