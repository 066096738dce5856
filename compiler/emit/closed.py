"""Lowering of linear memories with a closed chunked form to lines of Python."""

from __future__ import annotations

from nestgraph.compiler.emit.memory_parts import (
    before_piece,
    head_widths,
    heads_of,
    is_given,
    rate,
)
from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Op
from nestgraph.compiler.memory_ops import write_name
from nestgraph.compiler.passes.select import kind


def closed_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    """Write a whole piece and answer its queries."""
    write = writer.ops[write_name(memory.name)]
    query = writer.heads(op.inputs[1], heads_of(memory))
    at = "before" if op.text("at") == "before" else "after"
    answer = closed_call(writer, memory, write, query, at)
    writer.assign(op, f"ops.merge_heads({answer}[0])")


def closed_call(
    writer: FunctionWriter, memory: Op, write: Op, query: str | None, at: str = "after"
) -> str:
    """Write a whole piece; returns the variable of its answers."""
    first = f"({_matrix(writer, memory)}).expand(x.shape[0], -1, -1, -1)"
    state = writer.state(memory.name, first)
    past = before_piece(writer, memory, state)
    seen = past if "gradient" not in memory.attrs else f"{past}.detach()"
    start = _start_weights(writer, memory)
    seen = seen if start is None else f"{seen} - {start}"
    reads = "" if query is None else f"({query}, {at!r})"
    answers = writer.fresh(f"{memory.name}_answers")
    call = _KERNELS[memory.text("kernel")](writer, memory, write, seen, reads)
    if start is not None:
        call = f"ops.with_start({call}, {start}{'' if query is None else f', {query}'})"
    if "gradient" not in memory.attrs:
        writer.line(f"{answers}, {state} = {call}")
        return answers
    after = writer.fresh(f"{memory.name}_after")
    writer.line(f"{answers}, {after} = {call}")
    time = f"{writer.heads(write.inputs[1], heads_of(memory))}.shape[2]"
    asked = f"[{query or ''}], time={time}, until={_until(writer, memory)}"
    writer.line(f"{answers}, {state} = ops.displaced({answers}, {after}, {past}, {asked})")
    return answers


def _until(writer: FunctionWriter, memory: Op) -> str:
    """Return how far the first state is seen: to the first commit, where commits are constants."""
    period = memory.integer("period")
    if memory.text("gradient") == "first_order" or not period:
        return "None"
    return "1" if period == 1 else f"{period} - ({writer.now()}) % {period}"


def _linear_memory(writer: FunctionWriter, memory: Op, write: Op, past: str, reads: str) -> str:
    keys, values = _facts(writer, memory, write)
    write_rate = _rate(writer, memory, write, "rate")
    erase = "None"
    if memory.text("erase") != "none":
        has_rate = "erase_rate" in write.texts("roles") or "erase_rate" in write.attrs
        erase = _rate(writer, memory, write, "erase_rate") if has_rate else write_rate
    options = (
        f"objective={memory.text('objective')!r}, scale={memory.number('scale')!r}, "
        f"retain_first={memory.flag('retain_first')}, signed={memory.flag('signed')}, "
        f"written={writer.written()}"
    )
    forgets = is_given(write, "retain", 1.0)
    retain = _rate(writer, memory, write, "retain") if forgets else "None"
    call = f"{keys}, {values}, {past}, {write_rate}, {retain}, {erase}, [{reads}]"
    return f"ops.linear_memory({call}, {options})"


def _diagonal_delta(writer: FunctionWriter, memory: Op, write: Op, past: str, reads: str) -> str:
    keys, values = _facts(writer, memory, write)
    roles = write.texts("roles")
    write_rate = _by_channel(writer, memory, write, "rate")
    erase = "None"
    if memory.text("erase") != "none":
        own = "erase_rate" in roles or "erase_rate" in write.attrs
        erase = "1.0" if memory.flag("erase_key") else write_rate
        erase = _by_channel(writer, memory, write, "erase_rate") if own else erase
    options = [
        f"objective={memory.text('objective')!r}",
        f"scale={memory.number('scale')!r}",
        f"retain_first={memory.flag('retain_first')}",
        f"signed={memory.flag('signed')}",
        f"written={writer.written()}",
    ]
    if memory.flag("erase_key"):
        flow = writer.heads(write.inputs[roles.index("erase_key")], heads_of(memory))
        options.append(f"erase_key={_held(memory, flow)}")
    forgets = is_given(write, "retain", 1.0)
    retain = _by_channel(writer, memory, write, "retain") if forgets else "None"
    call = f"{keys}, {values}, {past}, {write_rate}, {retain}, {erase}, [{reads}]"
    return f"ops.diagonal_delta({call}, {', '.join(options)})"


def _by_channel(writer: FunctionWriter, memory: Op, write: Op, role: str) -> str:
    """Return a rate by head (B, H, T), by value (B, H, T, E) or by key (B, H, T, 1, D)."""
    given = _rate(writer, memory, write, role)
    return f"{given}.unsqueeze(3)" if kind(memory, role) == "key" else given


def _selective_scan(writer: FunctionWriter, memory: Op, write: Op, past: str, reads: str) -> str:
    keys, values = _facts(writer, memory, write)
    write_rate = _rate(writer, memory, write, "rate")
    call = f"{keys}, {values}, {past}, {write_rate}, {_retention(writer, memory, write)}, [{reads}]"
    options = f"scale={memory.number('scale')!r}, written={writer.written()}"
    return f"ops.selective_scan({call}, {options})"


_KERNELS = {
    "chunked_decay": _linear_memory,
    "chunked_delta": _linear_memory,
    "diagonal_delta": _diagonal_delta,
    "selective_scan": _selective_scan,
}


def _retention(writer: FunctionWriter, memory: Op, write: Op) -> str:
    """Return a tensor, or the steps and rates that it would be made of."""
    heads, (columns, rows) = heads_of(memory), head_widths(memory)
    if "steps" in write.texts("roles"):
        steps = writer.heads(write.inputs[write.texts("roles").index("steps")], heads)
        owner = f"{write.text('decay')}.a"
        rates = writer.weight(f"p[{owner!r}].exp().view({heads}, {rows}, {columns})", owner)
        return f"ops.Fading({_held(memory, steps)}, {_held(memory, rates)})"
    retain = _rate(writer, memory, write, "retain")
    if kind(memory, "retain") == "cell":
        return f"{retain}.unflatten(-1, ({rows}, {columns}))"
    return retain


def _facts(writer: FunctionWriter, memory: Op, write: Op) -> tuple[str, str]:
    """Return keys and values: (B, H, T, d), or (B, H, T, n, d) for several events a position."""
    heads, count = heads_of(memory), memory.integer("events", 1)
    found = []
    for names in (write.inputs[1 : 1 + count], write.inputs[1 + count : 1 + 2 * count]):
        flow = writer.events(list(names), heads)
        found.append(_held(memory, flow if count == 1 else f"{flow}.unflatten(2, (-1, {count}))"))
    keys, values = found
    start, share = _start_weights(writer, memory), _answered(memory)
    if start is not None and share:
        values = f"ops.targets_from({start}, {keys}, {values}, {share!r})"
    return keys, values


def _start_weights(writer: FunctionWriter, memory: Op) -> str | None:
    """Return what the kernel counts a matrix from: where it started, if retention pulls there."""
    return _held(memory, _matrix(writer, memory)) if "towards" in memory.attrs else None


def _answered(memory: Op) -> float:
    """Return how much of the old answer a write takes away, over what it writes of a value."""
    error = 1.0 if memory.text("objective") == "l2" else 0.0
    erased = 0.0 if memory.text("erase") == "none" else 1 / memory.number("scale")
    return error + erased


def _held(memory: Op, expression: str) -> str:
    """Return a constant for whatever learns more slowly, if that doesn't see the writes."""
    return expression if "gradient" not in memory.attrs else f"{expression}.detach()"


def _rate(writer: FunctionWriter, memory: Op, write: Op, role: str) -> str:
    key = writer.heads(write.inputs[1], heads_of(memory))
    given = _held(memory, rate(writer, memory, write, role, key))
    if role != "rate" or not memory.flag("implicit"):
        return given
    cached = f"{memory.name}:implicit"
    if cached not in writer.region.values:
        variable = writer.fresh(f"{memory.name}_rate")
        writer.line(f"{variable} = ops.implicit_rate({given}, {_held(memory, key)})")
        writer.region.values[cached] = variable
    return writer.region.values[cached]


def _matrix(writer: FunctionWriter, memory: Op) -> str:
    """Return the first state of a linear memory, (H, E, D), over parameters."""
    heads, (columns, rows) = heads_of(memory), head_widths(memory)
    if memory.text("init") == "zero":
        return f"x.new_zeros({heads}, {rows}, {columns})"
    if memory.text("init") == "identity":
        return writer.weight(
            f"torch.eye({rows}, {columns}).to(like).expand({heads}, -1, -1)", f"{memory.name}.eye"
        )
    key = f"{memory.attrs.get('start', memory.name)}.W0"
    shaped = f"p[{key!r}].view({heads}, {rows}, 1)" if memory.flag("vector") else f"p[{key!r}]"
    return writer.weight(shaped, key)
