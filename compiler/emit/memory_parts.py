"""What the lines of every kernel are made of: the memory of an op, its rates, its first state."""

from __future__ import annotations

from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Op
from nestgraph.compiler.passes.select import kind


def memory_of(writer: FunctionWriter, op: Op) -> Op:
    """Return the memory that an op declares, writes or reads."""
    return op if op.kind == "memory" else writer.ops[op.inputs[0]]


def heads_of(memory: Op) -> int:
    """Return how many memories lie side by side."""
    return memory.integer("heads")


def head_widths(memory: Op) -> tuple[int, int]:
    """Return widths of one head's keys and values."""
    heads = heads_of(memory)
    return memory.integer("key_width") // heads, memory.integer("value_width") // heads


def before_piece(writer: FunctionWriter, memory: Op, state: str) -> str:
    """Return the state that a read starts from: with several reads, the one before this piece."""
    reads = [op for op in writer.function.of_kind("read") if op.inputs[0] == memory.name]
    if len(reads) < 2:
        return state
    key = f"{memory.name}:before"
    if key not in writer.region.values:
        writer.region.values[key] = writer.fresh(f"{memory.name}_before")
        writer.line(f"{writer.region.values[key]} = {state}")
    return writer.region.values[key]


def rate(writer: FunctionWriter, memory: Op, write: Op, role: str, like: str) -> str:
    """Return a coefficient (B, H, T), or (B, H, T, n) within a matrix: from a flow, or constant."""
    roles = write.texts("roles")
    if role in roles:
        flow = write.inputs[roles.index(role)]
        if kind(memory, role) == "head":
            return writer.coefficient(flow, heads_of(memory))
        return writer.heads(flow, heads_of(memory))
    value = write.attrs.get(role, 1.0)
    numbers = value if isinstance(value, tuple) else (value,)
    constant = writer.weight(f"like.new_tensor({numbers!r})", f"{memory.name}_{role}")
    return f"ops.constant({constant}, {like})"


def is_given(write: Op, role: str, default: float) -> bool:
    """Return whether a coefficient is anything but its default."""
    return role in write.texts("roles") or write.attrs.get(role, default) != default
