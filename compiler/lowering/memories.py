"""How memories, their writes and their reads become lines of Python, kernel by kernel."""

from __future__ import annotations

from itertools import pairwise

from nestgraph.compiler.elaborate import write_name
from nestgraph.compiler.ir import Op
from nestgraph.compiler.lowering import fast
from nestgraph.compiler.lowering.simple import emits
from nestgraph.compiler.lowering.writer import FunctionWriter
from nestgraph.compiler.passes.select import CLOSED, LOOPED, SCANS, has_momentum


@emits("memory", "write")
def deferred(writer: FunctionWriter, op: Op) -> None:
    """Memories make no code of their own; only writes in loops do."""
    if op.kind == "memory":
        if fast.is_fast(op):
            fast.declare(writer, op)
        return
    kernel = _memory(writer, op).attrs["kernel"]
    if kernel in LOOPED:
        _looped_write(writer, op)
    elif kernel == "attention_scan":
        _append(writer, op)


@emits("read")
def read(writer: FunctionWriter, op: Op) -> None:
    """Ask a memory."""
    memory = _memory(writer, op)
    kernel = memory.text("kernel")
    if kernel == "static":
        _static_read(writer, op, memory)
    elif fast.is_fast(memory):
        fast.read(writer, op, memory)
    elif kernel == "attention":
        _attention_read(writer, op, memory)
    elif kernel == "attention_scan":
        _recall(writer, op, memory)
    elif kernel in CLOSED:
        _closed_read(writer, op, memory)
    else:
        _looped_read(writer, op, memory)


def unread(writer: FunctionWriter) -> list[Op]:
    """Writes of closed kernels that no read carries out; the state must still move."""
    asked = {op.inputs[0] for op in writer.function.of_kind("read")}
    return [
        op
        for op in writer.function.of_kind("write")
        if op.inputs[0] not in asked and _memory(writer, op).attrs["kernel"] not in LOOPED | SCANS
    ]


def finish_unread(writer: FunctionWriter, write: Op) -> None:
    """Move the state of a memory that nobody asks."""
    memory = _memory(writer, write)
    if memory.text("kernel") == "attention":
        _attend(
            writer, memory, write, query=writer.heads(write.inputs[1], _heads(memory)), at="after"
        )
    else:
        _closed_call(writer, memory, write, [])


def advance_lines(writer: FunctionWriter, loop: Op) -> list[str]:
    """What ends every segment of a loop: each stack moves past it, and commits when due."""
    periods = loop.attrs["periods"]
    assert isinstance(periods, tuple)
    lines = []
    for write in writer.function.of_kind("write"):
        memory = _memory(writer, write)
        if write.loop != loop.loop or memory.attrs["kernel"] not in LOOPED:
            continue
        period = memory.attrs["period"]
        commit = f"due[{periods.index(period)}]" if period in periods else "False"
        state, pending = _stack_state(writer, memory), _pending(writer, write)
        form = _form(writer, memory, write)
        lines.append(f"{state} = ops.advance({form}, {state}, {pending}, commit={commit})")
    return lines


def _memory(writer: FunctionWriter, op: Op) -> Op:
    return op if op.kind == "memory" else writer.ops[op.inputs[0]]


def _heads(memory: Op) -> int:
    return memory.integer("heads")


def _static_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    layers = memory.integer("layers", 1)
    weights = [
        writer.weight(f"p[{f'{memory.name}.W{i}'!r}]", f"{memory.name}.W{i}") for i in range(layers)
    ]
    activation = str(memory.attrs.get("activation", "silu"))
    net = f"({', '.join(weights)},), {activation!r}, residual={memory.flag('residual')}"
    writer.assign(op, f"ops.static_net({writer.flow(op.inputs[1])}, {net})")


def _attention_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    query = writer.heads(op.inputs[1], _heads(memory))
    write = writer.ops[write_name(memory.name)]
    answer = _attend(writer, memory, write, query=query, at=op.text("at"))
    writer.assign(op, f"ops.merge_heads({answer})")


def _events(writer: FunctionWriter, memory: Op) -> str:
    """The keys and values that attention keeps; none at first."""
    heads = _heads(memory)
    widths = (memory.integer("key_width"), memory.integer("value_width"))
    first = [f"x.new_zeros(x.shape[0], {heads}, 0, {width // heads})" for width in widths]
    return writer.state(memory.name, f"({', '.join(first)})")


def _append(writer: FunctionWriter, write: Op) -> None:
    """Keep one position's event; reads `before` it still find what was there."""
    memory = _memory(writer, write)
    past = _events(writer, memory)
    before = writer.assign(write, past)
    key, value = (writer.heads(name, _heads(memory)) for name in write.inputs[1:3])
    joined = f"torch.cat(({before}[0], {key}), 2), torch.cat(({before}[1], {value}), 2)"
    writer.line(f"{past} = ({joined})")


def _recall(writer: FunctionWriter, op: Op, memory: Op) -> None:
    past = _events(writer, memory)
    written = writer.region.values.get(write_name(memory.name))
    events = written if written is not None and op.text("at") == "before" else past
    query = writer.heads(op.inputs[1], _heads(memory))
    writer.assign(op, f"ops.merge_heads(ops.recall({query}, *{events}))")


def _attend(writer: FunctionWriter, memory: Op, write: Op, *, query: str, at: str) -> str:
    """Answer a query and keep this piece's events; returns the answer's variable."""
    heads = _heads(memory)
    key, value = (writer.heads(name, heads) for name in write.inputs[1:3])
    past = _events(writer, memory)
    answer = writer.fresh(f"{memory.name}_answer")
    call = (
        f"ops.attend({query}, {key}, {value}, *{_before(writer, memory, past)}, {at == 'before'})"
    )
    writer.line(f"{answer}, *{past} = {call}")
    return answer


def _before(writer: FunctionWriter, memory: Op, state: str) -> str:
    """The state that a read starts from: with several reads, the one before this piece."""
    reads = [op for op in writer.function.of_kind("read") if op.inputs[0] == memory.name]
    if len(reads) < 2:
        return state
    key = f"{memory.name}:before"
    if key not in writer.region.values:
        writer.region.values[key] = writer.fresh(f"{memory.name}_before")
        writer.line(f"{writer.region.values[key]} = {state}")
    return writer.region.values[key]


def _closed_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    write = writer.ops[write_name(memory.name)]
    query = writer.heads(op.inputs[1], _heads(memory))
    at = "before" if op.text("at") == "before" else "after"
    answer = _closed_call(writer, memory, write, [f"({query}, {at!r})"])
    writer.assign(op, f"ops.merge_heads({answer}[0])")


def _closed_call(writer: FunctionWriter, memory: Op, write: Op, reads: list[str]) -> str:
    heads = _heads(memory)
    key, value = (writer.heads(name, heads) for name in write.inputs[1:3])
    first = f"({_matrix(writer, memory)}).expand(x.shape[0], -1, -1, -1)"
    state = writer.state(memory.name, first)
    rate = _closed_rate(writer, memory, write, "rate", key)
    erase = "None"
    if memory.text("erase") != "none":
        has_rate = "erase_rate" in write.texts("roles") or "erase_rate" in write.attrs
        erase = _closed_rate(writer, memory, write, "erase_rate", key) if has_rate else rate
    options = (
        f"objective={memory.text('objective')!r}, scale={memory.number('scale')!r}, "
        f"retain_first={memory.flag('retain_first')}, signed={memory.flag('signed')}"
    )
    retain = _closed_rate(writer, memory, write, "retain", key)
    answers = writer.fresh(f"{memory.name}_answers")
    past = _before(writer, memory, state)
    call = f"{key}, {value}, {past}, {rate}, {retain}, {erase}, [{', '.join(reads)}], {options}"
    writer.line(f"{answers}, {state} = ops.linear_memory({call})")
    return answers


def _closed_rate(writer: FunctionWriter, memory: Op, write: Op, role: str, key: str) -> str:
    rate = _rate(writer, memory, write, role, key)
    if role != "rate" or not memory.flag("implicit"):
        return rate
    cached = f"{memory.name}:implicit"
    if cached not in writer.region.values:
        variable = writer.fresh(f"{memory.name}_rate")
        writer.line(f"{variable} = ops.implicit_rate({rate}, {key})")
        writer.region.values[cached] = variable
    return writer.region.values[cached]


def _rate(writer: FunctionWriter, memory: Op, write: Op, role: str, like: str) -> str:
    """A coefficient (B, H, T): from a flow, or constant."""
    roles = write.texts("roles")
    if role in roles:
        return writer.coefficient(write.inputs[roles.index(role)], _heads(memory))
    value = write.attrs.get(role, 1.0)
    numbers = value if isinstance(value, tuple) else (value,)
    constant = writer.weight(f"like.new_tensor({numbers!r})", f"{memory.name}_{role}")
    return f"ops.constant({constant}, {like})"


def _matrix(writer: FunctionWriter, memory: Op) -> str:
    """The first state of a linear memory, (H, E, D), over parameters."""
    if memory.text("init") == "zero":
        heads = _heads(memory)
        rows, columns = (memory.integer(key) // heads for key in ("value_width", "key_width"))
        return f"x.new_zeros({heads}, {rows}, {columns})"
    key = f"{memory.name}.W0"
    return writer.weight(f"p[{key!r}]", key)


def layer_shapes(memory: Op) -> list[tuple[int, int]]:
    """(out, in) of every matrix of a memory's net, for one head, input side first."""
    heads = _heads(memory)
    key, value = memory.integer("key_width") // heads, memory.integer("value_width") // heads
    if memory.text("net") == "linear":
        return [(value, key)]
    sizes = [key, *[memory.integer("hidden")] * (memory.integer("layers") - 1), value]
    return [(out, in_) for in_, out in pairwise(sizes)]


def _form(writer: FunctionWriter, memory: Op, write: Op) -> str:
    linear = memory.text("net") == "linear"
    fields = {
        "layers": 1 if linear else memory.integer("layers"),
        "activation": str(memory.attrs.get("activation", "silu")),
        "residual": memory.flag("residual"),
        "linear": linear,
        "objective": memory.text("objective"),
        "scale": memory.number("scale"),
        "retain_first": memory.flag("retain_first"),
        "erase": memory.text("erase"),
        "implicit": memory.flag("implicit"),
        "momentum": has_momentum(write),
        "signed": memory.flag("signed"),
    }
    text = f"ops.Form({', '.join(f'{key}={value!r}' for key, value in fields.items())})"
    return writer.forms.setdefault(text, writer.fresh(f"{writer.function.name.upper()}_FORM"))


def _stack_state(writer: FunctionWriter, memory: Op) -> str:
    write = writer.ops[write_name(memory.name)]
    layers = [
        _stacked_weight(writer, memory, i, shape) for i, shape in enumerate(layer_shapes(memory))
    ]
    options = f"momentum={has_momentum(write)}, kept={memory.flag('retain_first')}"
    return writer.state(
        memory.name, f"ops.first_state(({', '.join(layers)},), x.shape[0], {options})"
    )


def _stacked_weight(writer: FunctionWriter, memory: Op, layer: int, shape: tuple[int, int]) -> str:
    """First weights of one layer of all members: (H, M, out, in)."""
    heads, parts = _heads(memory), []
    for member, init in zip(memory.texts("members"), memory.texts("inits"), strict=True):
        zeros = f"like.new_zeros({heads}, {shape[0]}, {shape[1]})"
        parts.append(zeros if init == "zero" else f"p[{f'{member}.W{layer}'!r}]")
    hint = f"{memory.name}.W{layer}"
    return writer.weight(f"torch.stack(({', '.join(parts)},), 1)", hint)


def _pending(writer: FunctionWriter, write: Op) -> str:
    return writer.region.values[write.name]


def _looped_write(writer: FunctionWriter, write: Op) -> None:
    memory = _memory(writer, write)
    heads, roles = _heads(memory), write.texts("roles")
    form, state = _form(writer, memory, write), _stack_state(writer, memory)
    key = writer.heads(write.inputs[1], heads)
    flows = [n for role, n in zip(roles, write.inputs, strict=True) if role == "value"]
    values = [writer.heads(name, heads) for name in flows]
    own = memory.flag("self_values")
    targets = f"None, {values[0]}" if own else f"torch.stack(({', '.join(values)},), 2), None"
    rates = [
        _looped_rate(writer, memory, write, role, key)
        for role in ("rate", "retain", "momentum", "erase_rate")
    ]
    call = f"{form}, {state}, {key}, {targets}, {', '.join(rates)}"
    writer.assign(write, f"ops.write({call})")


def _looped_rate(writer: FunctionWriter, memory: Op, write: Op, role: str, like: str) -> str:
    defaults = {"rate": 1.0, "retain": 1.0, "momentum": 0.0}
    given = role in write.texts("roles")
    if not given and write.attrs.get(role, defaults.get(role)) == defaults.get(role):
        return "None"
    if role == "momentum" and not has_momentum(write):
        return "None"
    return _rate(writer, memory, write, role, like)


def _looped_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    write = writer.ops[write_name(memory.name)]
    form, state = _form(writer, memory, write), _stack_state(writer, memory)
    query = _queries(writer, op, _heads(memory))
    chosen = op.attrs["member"]
    assert isinstance(chosen, tuple)
    total = len(memory.texts("members"))
    at = op.text("at")
    if at == "boundary" or op.flag("carried"):
        weights = f"{state}.{'anchor' if at == 'boundary' else 'running'}"
        weights = _chosen_weights(weights, chosen, total)
        answer = f"ops.answer({form}, {weights}, {query})"
    else:
        answer = f"ops.read({form}, {state}, {_pending(writer, write)}, {query}, {at!r})"
        answer += _chosen_answers(chosen, total)
    writer.assign(op, f"ops.merge_members({answer})")


def _queries(writer: FunctionWriter, op: Op, heads: int) -> str:
    """One query for all members (B, H, T, D), or one for each (B, H, M, T, D)."""
    order = op.attrs.get("query")
    if not isinstance(order, tuple):
        return writer.heads(op.inputs[1], heads)
    return writer.stacked_heads([op.inputs[1 + int(str(i))] for i in order], heads)


def _chosen_weights(weights: str, chosen: tuple[object, ...], total: int) -> str:
    if len(chosen) == total:
        return weights
    if _is_run(chosen):
        return f"ops.members({weights}, {chosen[0]}, {int(str(chosen[-1])) + 1})"
    return f"tuple(weight[:, :, {list(chosen)!r}] for weight in {weights})"


def _chosen_answers(chosen: tuple[object, ...], total: int) -> str:
    if len(chosen) == total:
        return ""
    if _is_run(chosen):
        return f"[:, :, {chosen[0]}:{int(str(chosen[-1])) + 1}]"
    return f"[:, :, {list(chosen)!r}]"


def _is_run(chosen: tuple[object, ...]) -> bool:
    first = int(str(chosen[0]))
    return list(chosen) == list(range(first, first + len(chosen)))
