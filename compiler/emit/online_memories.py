"""Online memories in emitted code: a net whose weights lie in the state and stand still in a piece.

What moves them is the segment executor's affair (`segments.py`); a piece only notes the rates
that are flows, as they are at its last position.
"""

from __future__ import annotations

from nestgraph.compiler.emit.simple import emits
from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Op
from nestgraph.compiler.online_memories import ticks


def declare(writer: FunctionWriter, memory: Op) -> str:
    """Return the variable of an online memory's state, whether anything reads it or not."""
    origin = memory
    while "source" in origin.attrs:
        origin = writer.ops[origin.text("source")]
    parts = ", ".join(_first(writer, origin, name, shape) for name, shape in shapes(memory))
    momentum = memory.flag("has_momentum")
    rates = len(memory.texts("roles"))
    options = f"momentum={momentum}, rates={rates}"
    if erased := memory.integer("erased", 0):
        options += f", erased={erased}"
    return writer.state(memory.name, f"ops.first_online(({parts},), x.shape[0], {options})")


def read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    """Ask an online memory."""
    state = declare(writer, memory)
    query = writer.flow(op.inputs[1])
    if op.flag("whole"):
        matrix = f"{state}.weights[0].flatten(1)[:, None]"
        writer.assign(op, f"{matrix}.expand(-1, {query}.shape[1], -1)")
        return
    layers = memory.integer("layers", 1)
    options = f"layers={layers}, residual={memory.flag('residual')}"
    options += ", gated=True" if memory.flag("gated") else ""
    norm = str(memory.attrs.get("norm", "none"))
    if norm != "none":
        names = ("gain", "shift") if norm == "layer_norm" else ("gain",)
        keys = [f"{memory.name}.norm.{name}" for name in names]
        slow = ", ".join(writer.weight(f"p[{key!r}]", key) for key in keys)
        options += f", norm={norm!r}, slow=({slow},)"
    activation = str(memory.attrs.get("activation", "silu"))
    arguments = f"{query}, {state}.weights, {activation!r}, {options}"
    if not (erased := memory.integer("erased", 0)):
        if ticks(writer.program).horizon:  # else each level's gradient is taken on its own
            arguments += f", past={state}.past"
        writer.assign(op, f"ops.online_net({arguments})")
        return
    is_whole = memory.text("gradient") == "full"  # else nothing of a move is differentiated
    answer, grams = writer.fresh(op.name), writer.fresh(f"{memory.name}_grams")
    options = f"erased={erased}, whole={is_whole}, written={writer.written()}"
    call = f"ops.asked_online_net({arguments}, {options})"
    writer.line(f"{answer}, {grams} = {call}")
    writer.line(f"{state} = ops.with_grams({state}, {grams})")
    writer.bind(op, answer)


@emits("rates")
def rates(writer: FunctionWriter, op: Op) -> None:
    """Note the rates at the last position of the piece."""
    memory = writer.ops[op.inputs[0]]
    state = declare(writer, memory)
    noted = ", ".join(f"ops.last_rate({writer.flow(name)})" for name in op.inputs[1:])
    writer.line(f"{state} = {state}._replace(rates=({noted},))")


def shapes(memory: Op) -> list[tuple[str, tuple[int, ...]]]:
    """Return short name and shape of every part of an online memory's state, without the batch."""
    from nestgraph.compiler.emit.looped import layer_shapes

    heads, sizes = memory.integer("heads"), layer_shapes(memory)
    named: list[tuple[str, tuple[int, ...]]] = [
        (f"W{i}", (heads, *size)) for i, size in enumerate(sizes)
    ]
    if memory.flag("bias"):
        named += [(f"b{i}", (heads, out)) for i, (out, _) in enumerate(sizes)]
    return named


def _first(writer: FunctionWriter, memory: Op, name: str, shape: tuple[int, ...]) -> str:
    key, kind = f"{memory.name}.{name}", memory.text("init")
    if kind in ("learned", "fixed"):
        return writer.weight(f"p[{key!r}]", key)
    if kind == "identity" and len(shape) > 2:
        unit = f"torch.eye({shape[1]}, {shape[2]}, dtype=like.dtype, device=like.device)"
        return writer.weight(f"{unit}.expand{shape!r}", key)
    return writer.weight(f"like.new_zeros{shape!r}", key)
