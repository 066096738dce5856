"""How linear memories with a closed chunked form become lines of Python."""

from __future__ import annotations

from nestgraph.compiler.ir import Op
from nestgraph.compiler.lowering.memory_parts import before_piece, head_widths, heads_of, rate
from nestgraph.compiler.lowering.writer import FunctionWriter
from nestgraph.compiler.memory_ops import write_name


def closed_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    """Write a whole piece and answer its queries."""
    write = writer.ops[write_name(memory.name)]
    query = writer.heads(op.inputs[1], heads_of(memory))
    at = "before" if op.text("at") == "before" else "after"
    answer = closed_call(writer, memory, write, [f"({query}, {at!r})"])
    writer.assign(op, f"ops.merge_heads({answer}[0])")


def closed_call(writer: FunctionWriter, memory: Op, write: Op, reads: list[str]) -> str:
    """Write a whole piece; returns the variable of its answers."""
    heads = heads_of(memory)
    key, value = (writer.heads(name, heads) for name in write.inputs[1:3])
    first = f"({_matrix(writer, memory)}).expand(x.shape[0], -1, -1, -1)"
    state = writer.state(memory.name, first)
    write_rate = _rate(writer, memory, write, "rate", key)
    erase = "None"
    if memory.text("erase") != "none":
        has_rate = "erase_rate" in write.texts("roles") or "erase_rate" in write.attrs
        erase = _rate(writer, memory, write, "erase_rate", key) if has_rate else write_rate
    options = (
        f"objective={memory.text('objective')!r}, scale={memory.number('scale')!r}, "
        f"retain_first={memory.flag('retain_first')}, signed={memory.flag('signed')}"
    )
    retain = _rate(writer, memory, write, "retain", key)
    answers = writer.fresh(f"{memory.name}_answers")
    past = before_piece(writer, memory, state)
    call = f"{key}, {value}, {past}, {write_rate}, {retain}, {erase}, [{', '.join(reads)}]"
    writer.line(f"{answers}, {state} = ops.linear_memory({call}, {options})")
    return answers


def _rate(writer: FunctionWriter, memory: Op, write: Op, role: str, key: str) -> str:
    given = rate(writer, memory, write, role, key)
    if role != "rate" or not memory.flag("implicit"):
        return given
    cached = f"{memory.name}:implicit"
    if cached not in writer.region.values:
        variable = writer.fresh(f"{memory.name}_rate")
        writer.line(f"{variable} = ops.implicit_rate({given}, {key})")
        writer.region.values[cached] = variable
    return writer.region.values[cached]


def _matrix(writer: FunctionWriter, memory: Op) -> str:
    """The first state of a linear memory, (H, E, D), over parameters."""
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
