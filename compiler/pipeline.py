"""Passes and the pipeline that runs them.

A pass is a frozen value with a name and an `apply` from program to program; its fields are its
options. A pipeline is a tuple of passes. Printing, verifying and timing hang on one callback
that sees the program after every pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from nestgraph.compiler.ir import Program

AfterPass = Callable[["Pass", Program], None]


class Pass(Protocol):
    """A named rewrite of a program."""

    name: ClassVar[str]

    def apply(self, program: Program) -> Program:
        """Return the rewritten program; the given one is left as it was."""
        ...


def nothing(_pass: Pass, _program: Program) -> None:
    """Do nothing, as a callback."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Passes in order, and what looks at the program between them."""

    passes: tuple[Pass, ...]
    after: AfterPass = nothing

    def run(self, program: Program) -> Program:
        """Return the program after all passes."""
        for step in self.passes:
            program = step.apply(program)
            self.after(step, program)
        return program


def chain(*callbacks: AfterPass) -> AfterPass:
    """Return one callback that calls several in turn."""

    def run_all(step: Pass, program: Program) -> None:
        for callback in callbacks:
            callback(step, program)

    return run_all
