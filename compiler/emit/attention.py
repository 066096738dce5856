"""Lowering of attention to lines of Python: whole pieces at once, or position by position."""

from __future__ import annotations

from nestgraph.compiler.emit.memory_parts import before_piece, heads_of, memory_of
from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Op
from nestgraph.compiler.memory_ops import write_name


def attention_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    """Ask and keep a whole piece."""
    query = writer.heads(op.inputs[1], heads_of(memory))
    write = writer.ops[write_name(memory.name)]
    answer = attend(writer, memory, write, query=query, at=op.text("at"))
    writer.assign(op, f"ops.merge_heads({answer})")


def attend(writer: FunctionWriter, memory: Op, write: Op, *, query: str, at: str) -> str:
    """Answer a query and keep this piece's events; returns the answer's variable."""
    key, value = _events_of(writer, memory, write)
    past = _kept(writer, memory)
    answer = writer.fresh(f"{memory.name}_answer")
    flows = f"{query}, {key}, {value}, {before_piece(writer, memory, past)}, {at == 'before'}"
    options = _options(writer, memory, "window", "period", "entries", "events")
    call = ", ".join([flows, *options, f"written={writer.written()}"])
    writer.line(f"{answer}, {past} = ops.attend_kept({call})")
    return answer


def append(writer: FunctionWriter, write: Op) -> None:
    """Keep one position's events; reads `before` it still find what was there."""
    memory = memory_of(writer, write)
    past = _kept(writer, memory)
    before = writer.assign(write, past)
    key, value = _events_of(writer, memory, write)
    options = _options(writer, memory, "window", "events")
    flows = ", ".join([before, key, value, *options, f"written={writer.written()}"])
    writer.line(f"{past} = ops.remember_kept({flows})")


def forget_lines(writer: FunctionWriter, write: Op) -> list[str]:
    """Return what ends a position: a tick of the reset level forgets all events."""
    memory = memory_of(writer, write)
    if "reset" not in memory.attrs:
        return []
    past, position = _kept(writer, memory), f"{writer.now()} + end - begin"
    return [f"{past} = ops.forget_kept({past}, {position}, {memory.integer('reset')})"]


def recall(writer: FunctionWriter, op: Op, memory: Op) -> None:
    """Ask the kept events at one position."""
    past = _kept(writer, memory)
    written = writer.region.values.get(write_name(memory.name))
    events = written if written is not None and op.text("at") == "before" else past
    query = writer.heads(op.inputs[1], heads_of(memory))
    options = _options(writer, memory, "window", "entries", "events")
    flows = ", ".join([query, events, *options])
    writer.assign(op, f"ops.merge_heads(ops.recall_kept({flows}))")


def _kept(writer: FunctionWriter, memory: Op) -> str:
    """Return the keys and values that attention keeps, and which were written; none at first."""
    heads = heads_of(memory)
    widths = (memory.integer("key_width"), memory.integer("value_width"))
    first = [f"x.new_zeros(x.shape[0], {heads}, 0, {width // heads})" for width in widths]
    marks = "x.new_zeros(x.shape[0], 0, dtype=torch.bool)"
    return writer.state(memory.name, f"({', '.join([*first, marks])})")


def _events_of(writer: FunctionWriter, memory: Op, write: Op) -> tuple[str, str]:
    heads, count = heads_of(memory), memory.integer("events", 1)
    keys, values = write.inputs[1 : 1 + count], write.inputs[1 + count : 1 + 2 * count]
    return writer.events(list(keys), heads), writer.events(list(values), heads)


def _options(writer: FunctionWriter, memory: Op, *asked: str) -> list[str]:
    """Return keyword arguments for what is not at its default."""
    found = {}
    if memory.flag("bounded"):
        found["window"] = [f"window={memory.integer('window', 1)}"]
    if "reset" in memory.attrs:
        found["period"] = [f"period={memory.integer('reset')}", f"start={writer.now()}"]
    if "entries" in memory.attrs:
        names = {"entries_k": f"{memory.name}.keys", "entries_v": f"{memory.name}.values"}
        found["entries"] = [f"{k}={writer.weight(f'p[{n!r}]', n)}" for k, n in names.items()]
    if "events" in memory.attrs:
        found["events"] = [f"events={memory.integer('events')}"]
    return [text for name in asked for text in found.get(name, [])]
