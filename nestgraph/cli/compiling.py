"""`nestgraph compile`: the plan, the program, the code, or a comparison with the reference."""

from __future__ import annotations

import typer

from nestgraph.cli.opening import open_spec
from nestgraph.cli.saying import say
from nestgraph.errors import InputError
from nestgraph.findings import did_you_mean

DISAGREES = 1
"""Exit status when the compiled model differs from the reference: a bug of nestgraph."""


def compile_spec(
    path: str,
    changes: list[str],
    print_ir: bool,
    print_ir_after: str | None,
    emit: bool,
    verify: bool,
    tokens: int | None,
) -> None:
    """Print what was asked for, in this order; the plan when nothing was."""
    from nestgraph import compiler

    if print_ir_after is not None:
        _known_pass(print_ir_after, (*compiler.PASS_NAMES, "all"))
    if tokens is not None and not verify:
        raise InputError("NG801", "`--tokens` says how many to compare on", "add --verify")
    with open_spec(path, changes) as spec:
        parts = []
        if print_ir_after is not None:
            parts.append(compiler.print_ir(spec.system, after=print_ir_after))
        if print_ir:
            parts.append(compiler.print_ir(spec.system))
        if emit:
            parts.append(compiler.emit_python(spec.system))
        comparison = None
        if verify:
            tokens = tokens or compiler.tokens_to_compare(spec.system)
            say(f"Tokens to compare: {tokens}; the interpreter takes one by one", err=True)
            comparison = compiler.verify(spec.system, tokens=tokens)
            parts.append(str(comparison))
        say("\n\n".join(parts or [str(compiler.plan(spec.system))]))
    if comparison is not None and not comparison.agrees:
        raise typer.Exit(DISAGREES)


def _known_pass(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise InputError("NG801", f"`{name}` names no pass", did_you_mean(name, known))
