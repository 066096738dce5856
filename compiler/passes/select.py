"""Choose the kernel that computes each memory, from its axes and its place in the graph.

Adds to each `memory` op: `kernel`, `why` (a sentence for the plan), and `signed` when its
retention or momentum may be zero or negative. The table looks at axes only, never at names.

    attention             softmax attention, with a cache when streamed
    attention_scan        the same token by token, where events need answers: slow
    static                parameters of the outermost level: a plain net
    task                  a net that each row moves between segments by the model's own loss
    chunked_decay         linear, dot, no erase: a decayed product of keys and queries
    selective_scan        linear, dot, retention by cell or value: a scan inside chunks
    chunked_delta         linear, own answer or erase in the write: the WY form
    diagonal_delta        the same with rates by key or value, or an erase key: per-channel WY
    anchored_chunk        gradients at an anchor that moves at ticks: dual form, chunk by chunk
    generic_scan          token by token: right for everything, and slow
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from nestgraph.compiler.dependencies import recurrent
from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.memory_ops import write_name
from nestgraph.compiler.sign_analysis import is_positive

CHUNK = 64  # tokens: the longest run that a loop takes at once when no tick cuts it
WRITTEN_OUT = 16  # the same where the state at every token is written out
LOOPED = frozenset({"anchored_chunk", "generic_scan"})
SCANS = frozenset({"generic_scan", "attention_scan"})
CLOSED = frozenset({"chunked_decay", "chunked_delta", "diagonal_delta", "selective_scan"})
TASK = "task"


@dataclass(frozen=True, kw_only=True)
class Select:
    """See the module."""

    name: ClassVar[str] = "select"

    def apply(self, program: Program) -> Program:
        """Return the program with a kernel on every memory."""
        return program.map(_choose)


def is_online(memory: Op) -> bool:
    """Return whether a memory is moved by the segment executor."""
    return memory.attrs.get("kernel") == TASK


def _choose(function: Function) -> Function:
    function = _with_needs(function)
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


def _with_needs(function: Function) -> Function:
    """Return what others want of a memory, said on it: its whole matrix, or to start like it."""
    whole = {op.inputs[0] for op in function.of_kind("read") if op.flag("whole")}
    again = {str(op.attrs.get("restart")) for op in function.of_kind("memory")}

    def told(op: Op) -> Op:
        needs = {"whole": op.name in whole, "asked_again": op.name in again}
        return op.with_attrs(**{k: True for k, v in needs.items() if v})

    ops = [told(op) if op.kind == "memory" else op for op in function.ops]
    return replace(function, ops=tuple(ops))


def _kernel(memory: Op, write: Op | None, reads: list[Op], component: list[Op]) -> tuple[str, str]:
    if memory.attrs.get("objective") == "task":
        return TASK, f"the loss of the segments that it answered in moves it, {_every(memory)}"
    if write is None:
        return "static", "its clock counts optimizer steps, so within a sequence it is a plain net"
    carried = ", ".join(f"`{op.name}`" for op in component if op.flag("carried"))
    why = f"{carried} reads `before` a write that needs the answer: token by token"
    if memory.text("net") == "attention":
        own = any(op.flag("carried") and op.inputs[0] == memory.name for op in component)
        return ("attention_scan", why) if own else ("attention", _why_attention(memory))
    if carried:
        return "generic_scan", why
    if not component and _closed(memory, write, reads):
        return _closed_form(memory)
    if _every_token(memory):
        return "generic_scan", _why_scan(memory, write, component)
    if _gradient_moves(memory):
        return "generic_scan", "`retain_first` moves the place of its gradients at every token"
    every = _every(memory)
    if component:
        return "anchored_chunk", f"feeds its own keys, values or rates, and commits {every}"
    return "anchored_chunk", f"gradients at an anchor that commits {every}"


def _every_token(memory: Op) -> bool:
    return memory.text("unit") == "tokens" and memory.integer("period") == 1


def _why_attention(memory: Op) -> str:
    parts = ["softmax over the events"]
    if memory.flag("bounded"):
        parts.append(f"of the last {memory.integer('window', 1)} positions")
    if memory.attrs.get("reset"):
        parts.append(f"since the last tick of {memory.integer('reset')} tokens")
    return " ".join(parts) if len(parts) > 1 else "softmax over the events so far"


def _gradient_moves(memory: Op) -> bool:
    """Return whether the place where gradients are taken is another at every token."""
    within = (
        "mirror" in memory.attrs or "window" in memory.attrs or kind(memory, "retain") != "head"
    )
    return memory.flag("retain_first") and within


def is_written_out(memory: Op) -> bool:
    """Return whether its kernel writes out the state at every token of a segment."""
    rows = {"rate:value"} if memory.text("erase") == "none" else set()
    within = set(memory.texts("per")) - rows
    return bool(within) or any(
        memory.attrs.get(axis) for axis in ("erase_key", "direction_steps", "mirror", "whole")
    )


def is_low_rank(memory: Op) -> bool:
    """Return whether its state is what it started from and its events, added up as they are.

    Then what happened since a tick is known without the matrices of that tick.
    """
    if memory.text("kernel") != "anchored_chunk":
        return False
    axes = (*_LOOPED_AXES, "erase_key", "per", "gradient", "restart", "retain_first", "towards")
    plain = memory.text("erase") == "none" and memory.integer("events", 1) == 1
    return plain and not any(memory.attrs.get(axis) for axis in axes)


def kind(memory: Op, role: str) -> str:
    """Return how many numbers one of a memory's coefficients has: one a head, value, key or
    cell.
    """
    return dict(text.split(":", 1) for text in memory.texts("per")).get(role, "head")


_LOOPED_AXES = ("window", "direction_steps", "mirror", "reduce", "reset", "whole", "asked_again")


def _closed(memory: Op, write: Op, reads: list[Op]) -> bool:
    """Return whether a linear memory has a closed chunked form."""
    if memory.text("net") != "linear" or memory.flag("self_values") or has_momentum(write):
        return False
    if memory.text("objective") not in ("dot", "l2") or stepped(write):
        return False
    if any(axis in memory.attrs for axis in _LOOPED_AXES):
        return False
    dot = memory.text("objective") == "dot"
    several = memory.integer("events", 1) > 1
    if several and memory.flag("implicit"):
        return False
    if "towards" in memory.attrs and _erases_apart(memory, write):
        return False
    if not (_every_token(memory) or (dot and all(r.text("at") != "boundary" for r in reads))):
        return False
    return _is_by_head(memory) or _scans(memory) or _is_by_channel(memory)


def _erases_apart(memory: Op, write: Op) -> bool:
    """Return whether it erases under another key than it writes under, or at another rate."""
    own = "erase_rate" in write.texts("roles") or "erase_rate" in write.attrs
    return memory.text("erase") != "none" and (memory.flag("erase_key") or own)


def _is_by_head(memory: Op) -> bool:
    """Return whether one number a head is all that its coefficients have, but for what is
    written.
    """
    writes = memory.text("objective") == "dot" and memory.text("erase") == "none"
    per = {"rate:value"} if writes else set()
    return set(memory.texts("per")) <= per and not memory.flag("erase_key")


def _is_by_channel(memory: Op) -> bool:
    """Return whether its coefficients differ by key or by value, never by cell."""
    kinds = dict(text.split(":", 1) for text in memory.texts("per"))
    return set(kinds) <= {"rate", "retain", "erase_rate"} and "cell" not in kinds.values()


def _scans(memory: Op) -> bool:
    """Return whether its cells fade each at its own pace and nothing is erased."""
    plain = memory.text("objective") == "dot" and memory.text("erase") == "none"
    per = set(memory.texts("per")) - {"rate:value"}
    return plain and per in ({"retain:cell"}, {"retain:value"})


def _closed_form(memory: Op) -> tuple[str, str]:
    if _scans(memory):
        return "selective_scan", "linear with `dot`, whose cells fade each at its own pace"
    if not _is_by_head(memory):
        return "diagonal_delta", "linear, with rates by channel or an erase under a key of its own"
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
    if "towards" in memory.attrs and _erases_apart(memory, write):
        return "an erase of its own meets a start that retention pulls towards: no chunked form"
    if has_momentum(write):
        return "momentum of gradients that move at every token has no chunked form"
    return "no chunked form of its rule is known where it commits at every token"


def _every(memory: Op) -> str:
    if memory.text("unit") == "never":
        return "never"
    return f"every {memory.integer('period')} tokens"


def has_momentum(write: Op) -> bool:
    """Return whether the write's rule keeps a momentum."""
    return "momentum" in write.texts("roles") or write.attrs.get("momentum", 0.0) not in (0, 0.0)


def stepped(write: Op) -> bool:
    """Return whether a coefficient stands between momentum and weights."""
    return "step" in write.texts("roles") or "step" in write.attrs


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
