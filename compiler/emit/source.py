"""The Python source of a whole program: what runs, and what `compile --emit python` prints."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.compiler.emit import memories
from nestgraph.compiler.emit.simple import EMITTERS
from nestgraph.compiler.emit.writer import INDENT, FunctionWriter, as_tuple
from nestgraph.compiler.ir import Function, Op, Program

HEADER = '''\
"""The layers of {name}, as straight-line code over tensors.

Each layer kind has `prepare(p, like)`, which works on its parameters alone, `initial(w, x)`, its
state before the first position, and `run(w, x, s, start, written)`, its answer to a piece of a
sequence (batch, time, width) that begins at absolute position `start`, with the state behind it.
`written` (batch, time) says at which positions memories are written; None: at all of them.
"""

import torch
import torch.nn.functional as F

from nestgraph import ops
'''


def python_source(program: Program) -> str:
    """Return Python that computes every layer of a scheduled program."""
    parts = [HEADER.format(name=_safe(program.name))]
    for function in program.functions:
        parts.append("\n".join(_function_lines(program, function)))
    return "\n\n".join(parts) + "\n"


def _safe(text: str) -> str:
    """Return text that can't end a docstring."""
    return text.replace("\\", "/").replace('"', "'").replace("\n", " ")


def _function_lines(program: Program, function: Function) -> Iterator[str]:
    writer = FunctionWriter(program, function)
    _emit_body(writer)
    output = writer.flow(function.output)
    for form, constant in writer.forms.items():
        yield f"{constant} = {form}"
    if writer.forms:
        yield ""
    yield ""
    yield from _definition(f"prepare_{function.name}(p, like)", _prepare_lines(writer))
    yield from _definition(f"initial_{function.name}(w, x)", _initial_lines(writer))
    yield from _definition(
        f"run_{function.name}(w, x, s, start, written=None)", _run_lines(writer, output)
    )


def _emit_body(writer: FunctionWriter) -> None:
    loop: Op | None = None
    for op in writer.function.ops:
        if loop is not None and op.loop != loop.loop:
            _leave(writer, loop)
            loop = None
        if op.kind == "loop":
            loop = op
            writer.enter(op)
        else:
            EMITTERS[op.kind](writer, op)
    if loop is not None:
        _leave(writer, loop)
    for write in memories.unread(writer):
        memories.finish_unread(writer, write)


def _leave(writer: FunctionWriter, loop: Op) -> None:
    writer.leave(memories.advance_lines(writer, loop))


def _definition(head: str, body: Iterator[str]) -> Iterator[str]:
    yield f"def {head}:"
    yield from (f"{INDENT}{line}" for line in body)
    yield ""
    yield ""


def _prepare_lines(writer: FunctionWriter) -> Iterator[str]:
    for expression, variable in writer.weights.items():
        yield f"{variable} = {expression}"
    yield f"return {as_tuple(writer.weights.values())}"


def _initial_lines(writer: FunctionWriter) -> Iterator[str]:
    yield from _unpack_weights(writer)
    items = [f"{name!r}: {first}" for name, (_, first) in writer.states.items()]
    yield "return {"
    yield from (f"{INDENT}{item}," for item in items)
    yield "}"


def _run_lines(writer: FunctionWriter, output: str) -> Iterator[str]:
    yield from _unpack_weights(writer)
    for name, (variable, _) in writer.states.items():
        yield f"{variable} = s[{name!r}]"
    yield from writer.outer.lines
    states = ", ".join(f"{name!r}: {variable}" for name, (variable, _) in writer.states.items())
    yield f"return {output}, {{{states}}}"


def _unpack_weights(writer: FunctionWriter) -> Iterator[str]:
    if writer.weights:
        yield f"{as_tuple(writer.weights.values())} = w"
