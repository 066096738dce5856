"""Which lines a memory's write and reads become: one table over the kernels."""

from __future__ import annotations

from nestgraph.compiler.emit import attention, closed, looped, online_memories
from nestgraph.compiler.emit.memory_parts import heads_of, memory_of
from nestgraph.compiler.emit.simple import emits
from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Op
from nestgraph.compiler.passes.batch_memories import stack_of
from nestgraph.compiler.passes.select import CLOSED, LOOPED, SCANS, is_online


@emits("memory", "write")
def deferred(writer: FunctionWriter, op: Op) -> None:
    """Emit nothing: memories make no code of their own; only writes in loops do."""
    if op.kind == "memory":
        if is_online(op):
            online_memories.declare(writer, op)
        return
    kernel = memory_of(writer, op).attrs["kernel"]
    if kernel in LOOPED:
        looped.looped_write(writer, op)
    elif kernel == "attention_scan":
        attention.append(writer, op)


@emits("read")
def read(writer: FunctionWriter, op: Op) -> None:
    """Ask a memory."""
    memory = memory_of(writer, op)
    kernel = memory.text("kernel")
    if kernel == "static":
        _static_read(writer, op, memory)
    elif is_online(memory):
        online_memories.read(writer, op, memory)
    elif kernel == "attention":
        attention.attention_read(writer, op, memory)
    elif kernel == "attention_scan":
        attention.recall(writer, op, memory)
    elif kernel in CLOSED:
        closed.closed_read(writer, op, memory)
    else:
        looped.looped_read(writer, op, memory)


def unread(writer: FunctionWriter) -> list[Op]:
    """Emit writes of closed kernels that no read carries out; the state must still move."""
    asked = {op.inputs[0] for op in writer.function.of_kind("read")}
    return [
        op
        for op in writer.function.of_kind("write")
        if op.inputs[0] not in asked and memory_of(writer, op).attrs["kernel"] not in LOOPED | SCANS
    ]


def finish_unread(writer: FunctionWriter, write: Op) -> None:
    """Move the state of a memory that nobody asks."""
    memory = memory_of(writer, write)
    if memory.text("kernel") == "attention":
        query = writer.heads(write.inputs[1], heads_of(memory))
        attention.attend(writer, memory, write, query=query, at="after")
    else:
        closed.closed_call(writer, memory, write, None)


def advance_lines(writer: FunctionWriter, loop: Op) -> list[str]:
    """Return what ends every segment of a loop: all stacks move and commit, then those due restart.

    A stack restarts behind the one that it starts as, whose own restart may be due there too.
    """
    periods = loop.attrs["periods"]
    assert isinstance(periods, tuple)
    inside = [w for w in writer.function.of_kind("write") if w.loop == loop.loop]
    moved: list[str] = []
    restarted: list[str] = []
    for write in inside:
        if memory_of(writer, write).attrs["kernel"] in LOOPED:
            moved += looped.advance_lines(writer, write, periods)
    for write in _sources_first(writer, inside):
        kernel = memory_of(writer, write).attrs["kernel"]
        if kernel in LOOPED:
            restarted += looped.reset_lines(writer, write, periods)
        elif kernel == "attention_scan":
            restarted += attention.forget_lines(writer, write)
    return moved + restarted


def _sources_first(writer: FunctionWriter, writes: list[Op]) -> list[Op]:
    """Return the writes of a loop, each behind that of the stack which its memory starts again
    as.
    """
    by_memory = {write.inputs[0]: write for write in writes}
    placed: dict[str, Op] = {}
    for memory in by_memory:
        chain: dict[str, Op] = {}
        at: str | None = memory
        while at is not None and at not in placed:
            assert at not in chain, f"%{at} starts as itself: the checks refuse that"
            chain[at] = by_memory[at]
            source = writer.ops[at].attrs.get("restart")
            at = None if source is None else stack_of(writer.function, str(source)).name
        placed |= dict(reversed(chain.items()))
    return list(placed.values())


def _static_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    layers, names = memory.integer("layers", 1), memory.name
    weights = [writer.weight(f"p[{f'{names}.W{i}'!r}]", f"{names}.W{i}") for i in range(layers)]
    if op.flag("whole"):
        query = writer.flow(op.inputs[1])
        writer.assign(op, f"{weights[0]}.flatten().expand(*{query}.shape[:2], -1)")
        return
    activation = str(memory.attrs.get("activation", "silu"))
    options = [f"residual={memory.flag('residual')}"]
    if memory.flag("gated"):
        options.append("gated=True")
    if memory.flag("bias"):
        biases = [writer.weight(f"p[{f'{names}.b{i}'!r}]", f"{names}.b{i}") for i in range(layers)]
        options.append(f"biases=({', '.join(biases)},)")
    norm = str(memory.attrs.get("norm", "none"))
    if norm != "none":
        keys = [f"{names}.norm.gain", *([f"{names}.norm.shift"] if norm == "layer_norm" else [])]
        options.append(f"slow=({', '.join(writer.weight(f'p[{k!r}]', k) for k in keys)},)")
        options.append(f"norm={norm!r}")
    net = f"({', '.join(weights)},), {activation!r}, {', '.join(options)}"
    writer.assign(op, f"ops.static_net({writer.flow(op.inputs[1])}, {net})")
