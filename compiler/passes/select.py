"""Choose the kernel that computes each memory, from its axes and its place in the graph.

Adds to each `memory` op: `kernel`, `why` (a sentence for the plan), and `signed` when its
retention or momentum may be zero or negative. The table looks at axes only, never at names.

    attention             softmax attention, with a cache when streamed
    attention_scan        the same token by token, where events need answers: slow
    static                parameters of the outermost level: a plain net
    task                  a net that each row moves between segments by the model's own loss
    chunked_decay         linear, dot, no erase: a decayed product of keys and queries
    chunked_delta         linear, own answer or erase in the write: the WY form
    anchored_chunk        gradients at an anchor that moves at ticks: dual form, chunk by chunk
    generic_scan          token by token: right for everything, and slow
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.dependencies import recurrent
from nestgraph.compiler.elaborate import write_name
from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.positivity import is_positive

CHUNK = 64  # tokens: the longest run that a loop takes at once when no tick cuts it
LOOPED = frozenset({"anchored_chunk", "generic_scan"})
SCANS = frozenset({"generic_scan", "attention_scan"})
TASK = "task"
CLOSED = frozenset({"chunked_decay", "chunked_delta"})


@dataclass(frozen=True, kw_only=True)
class Select:
    """See the module."""

    name: ClassVar[str] = "select"

    def apply(self, program: Program) -> Program:
        """The program with a kernel on every memory."""
        return program.map(_choose)


def _choose(function: Function) -> Function:
    by_name = {op.name: op for op in function.ops}
    loops = recurrent(function)

    def decide(op: Op) -> Op:
        if op.kind != "memory":
            return op
        write = by_name.get(write_name(op.name))
        reads = [r for r in function.of_kind("read") if r.inputs[0] == op.name]
        inside = loops.get(write_name(op.name), frozenset())
        kernel, why = _kernel(op, write, reads, [by_name[name] for name in sorted(inside)])
        signed = write is not None and _signed(write, by_name)
        return op.with_attrs(kernel=kernel, why=why, **({"signed": True} if signed else {}))

    return replace(function, ops=tuple(decide(op) for op in function.ops))


def _kernel(memory: Op, write: Op | None, reads: list[Op], component: list[Op]) -> tuple[str, str]:
    if memory.attrs.get("objective") == "task":
        return TASK, f"the loss of the segments that it answered in moves it, {_every(memory)}"
    if write is None:
        return "static", "its clock counts optimizer steps, so within a sequence it is a plain net"
    carried = ", ".join(f"`{op.name}`" for op in component if op.flag("carried"))
    why = f"{carried} reads `before` a write that needs the answer: token by token"
    if memory.text("net") == "attention":
        own = any(op.flag("carried") and op.inputs[0] == memory.name for op in component)
        return ("attention_scan", why) if own else ("attention", "softmax over the events so far")
    if carried:
        return "generic_scan", why
    if not component and _closed(memory, write, reads):
        return _closed_form(memory)
    if memory.text("unit") == "tokens" and memory.integer("period") == 1:
        return "generic_scan", _why_scan(memory, write, component)
    every = _every(memory)
    if component:
        return "anchored_chunk", f"feeds its own keys, values or rates, and commits {every}"
    return "anchored_chunk", f"gradients at an anchor that commits {every}"


def _closed(memory: Op, write: Op, reads: list[Op]) -> bool:
    """Whether a linear memory has a closed chunked form."""
    if memory.text("net") != "linear" or memory.flag("self_values") or has_momentum(write):
        return False
    if memory.text("unit") == "tokens" and memory.integer("period") == 1:
        return True
    return memory.text("objective") == "dot" and all(r.text("at") != "boundary" for r in reads)


def _closed_form(memory: Op) -> tuple[str, str]:
    if memory.text("objective") == "dot" and memory.text("erase") == "none":
        return "chunked_decay", "linear with `dot`: writes do not depend on the state"
    return "chunked_delta", "linear, each write corrects the last state: delta rule in WY form"


def _why_scan(memory: Op, write: Op, component: list[Op]) -> str:
    if component:
        return "feeds itself at every token"
    if memory.text("net") == "mlp":
        return "a deep memory that commits at every token has no chunked form; give it a `level`"
    if memory.flag("self_values"):
        return "its own answers are its targets at every token"
    assert has_momentum(write)
    return "momentum of gradients that move at every token has no chunked form"


def _every(memory: Op) -> str:
    if memory.text("unit") == "never":
        return "never"
    return f"every {memory.integer('period')} tokens"


def has_momentum(write: Op) -> bool:
    """Whether the write's rule keeps a momentum."""
    return "momentum" in write.texts("roles") or write.attrs.get("momentum", 0.0) not in (0, 0.0)


def _signed(write: Op, ops: Mapping[str, Op]) -> bool:
    return any(not _positive(role, write, ops) for role in ("retain", "momentum"))


def _positive(role: str, write: Op, ops: Mapping[str, Op]) -> bool:
    roles = write.texts("roles")
    if role in roles:
        return is_positive(write.inputs[roles.index(role)], ops)
    if role == "momentum" and not has_momentum(write):
        return True
    value = write.attrs.get(role, 1.0)
    numbers = value if isinstance(value, tuple) else (value,)
    return all(isinstance(n, int | float) and n > 0 for n in numbers)
