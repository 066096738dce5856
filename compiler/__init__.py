"""From a checked system to an nn.Module: IR, passes, plan, emitted code, executor.

The names below load what they need when first asked for, so that the torch-free ones
(`build_program`, `plan`, `print_ir`, `emit_python`) stay so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestgraph.compiler.build import build_program, compile_model
from nestgraph.compiler.passes import PASS_NAMES
from nestgraph.compiler.text import print_program

if TYPE_CHECKING:
    from nestgraph.compiler.equivalence import Verification
    from nestgraph.compiler.ir import Program
    from nestgraph.compiler.pipeline import Pass
    from nestgraph.compiler.planning import Plan
    from nestgraph.language.system import System

__all__ = [
    "PASS_NAMES",
    "build_program",
    "compile_model",
    "emit_python",
    "plan",
    "print_ir",
    "tokens_to_compare",
    "verify",
]


def plan(system: System) -> Plan:
    """Return what the compiler decides for a system.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    from nestgraph.compiler.planning import plan_of

    return plan_of(build_program(system))


def print_ir(system: System, *, after: str | None = None) -> str:
    """Return the IR as text: behind the last pass, behind the pass `after`, or behind `all` of
    them.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
        ValueError: no pass is called `after`.
    """
    if after is not None and after not in (*PASS_NAMES, "all"):
        raise ValueError(f"no pass is called `{after}`; there are {', '.join(PASS_NAMES)}, all")
    texts: list[str] = []

    def look(step: Pass, program: Program) -> None:
        if after in (step.name, "all"):
            texts.append(f"# after {step.name}\n{print_program(program)}")

    program = build_program(system, after=look)
    return print_program(program) if after is None else "\n".join(texts)


def emit_python(system: System) -> str:
    """Return the Python source that the lowered model runs.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    from nestgraph.compiler.emit.source import python_source

    return python_source(build_program(system))


def tokens_to_compare(system: System) -> int:
    """Return how many tokens `verify` takes that is told no number.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    from nestgraph.compiler.equivalence import tokens_to_compare as count

    return count(system)


def verify(system: System, *, tokens: int | None = None) -> Verification:
    """Return the compiled model held against the reference interpreter.

    Args:
        system: the spec, checked.
        tokens: length of the sequences; if None, `tokens_to_compare`.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    from nestgraph.compiler.equivalence import verify as compare

    return compare(system, tokens=tokens)
