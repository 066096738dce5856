"""Lowering of memories that a loop walks segment by segment to lines of Python."""

from __future__ import annotations

from itertools import pairwise

from nestgraph.compiler.emit.memory_parts import head_widths, heads_of, is_given, memory_of
from nestgraph.compiler.emit.memory_parts import rate as rate_of
from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Op
from nestgraph.compiler.memory_ops import write_name
from nestgraph.compiler.passes.batch_memories import stack_of
from nestgraph.compiler.passes.select import has_momentum, kind, stepped

RATES = {"rate": 1.0, "retain": 1.0, "momentum": 0.0, "step": 1.0, "erase_rate": ..., "delta": ...}


def looped_write(writer: FunctionWriter, write: Op) -> None:
    """Take in the events of a segment."""
    memory = memory_of(writer, write)
    heads, roles, count = heads_of(memory), write.texts("roles"), memory.integer("events", 1)
    form, state = form_of(writer, memory, write), stack_state(writer, memory)
    named = list(zip(roles, write.inputs, strict=True))
    key = writer.events([name for role, name in named if role == "key"], heads)
    flows = [name for role, name in named if role == "value"]
    own = memory.flag("self_values")
    groups = [flows[i : i + count] for i in range(0, len(flows), count)]
    values = [writer.events(group, heads) for group in groups]
    targets = f"None, {values[0]}" if own else f"torch.stack(({', '.join(values)},), 2), None"
    call = [form, state, key, targets, *_rates(writer, memory, write)]
    slow = slow_of(writer, memory)
    call += [f"slow={slow}"] if slow else []
    if "erase_key" in roles:
        erase_key = writer.heads(write.inputs[roles.index("erase_key")], heads)
        call.append(f"erase_key_BHTD={erase_key}")
    if _is_whole(writer):
        call.append(f"period={memory.integer('period')}")
    call.append(f"written={writer.written()}")
    if "towards" in memory.attrs:
        call.append(f"towards=({', '.join(_first_weights(writer, memory))},)")
    writer.assign(write, f"ops.write({', '.join(call)})")


def looped_read(writer: FunctionWriter, op: Op, memory: Op) -> None:
    """Ask the state at the boundary, before the segment, or at every token of it."""
    write = writer.ops[write_name(memory.name)]
    form, state = form_of(writer, memory, write), stack_state(writer, memory)
    chosen, at = op.attrs["member"], op.text("at")
    assert isinstance(chosen, tuple)
    if op.flag("whole"):
        _whole_read(writer, op, memory, chosen)
        return
    slow, query = slow_of(writer, memory), _queries(writer, op, heads_of(memory))
    behind = f", {slow}" if slow else ""
    some = _chosen_answers(chosen, len(memory.texts("members")))
    if at == "boundary" and _is_whole(writer):
        answer = (
            f"ops.read({form}, {writer.region.values[write.name]}, {query}, {at!r}{behind}){some}"
        )
    elif at == "boundary" and not some and _is_plain(memory):
        answer = writer.fresh(f"{op.name}_answer")
        writer.line(f"{answer}, {state} = ops.ask({form}, {state}, {query}{behind})")
    elif at == "boundary" or op.flag("carried"):
        weights = _standing(memory, form, state, at)
        if not slow:
            weights, some = _chosen_weights(weights, chosen, len(memory.texts("members"))), ""
        answer = f"ops.answer({form}, {weights}, {query}{behind}){some}"
    else:
        pending = writer.region.values[write.name]
        if some and _is_run(chosen):
            behind, some = f"{behind}, some={_run(chosen)}", ""
        answer = f"ops.read({form}, {pending}, {query}, {at!r}{behind}){some}"
    writer.assign(op, f"ops.merge_members({answer})")


def _is_whole(writer: FunctionWriter) -> bool:
    """Return whether the loop takes several periods at once."""
    loop = writer.region.loop
    return loop is not None and loop.flag("whole")


def advance_lines(writer: FunctionWriter, write: Op, periods: tuple[object, ...]) -> list[str]:
    """Return what ends a segment: a stack moves past it, and commits when due."""
    memory = memory_of(writer, write)
    period = memory.attrs["period"]
    commit = f"due[{periods.index(period)}]" if period in periods else "False"
    state, pending = stack_state(writer, memory), writer.region.values[write.name]
    return [f"{state} = ops.advance({pending}, commit={commit})"]


def reset_lines(writer: FunctionWriter, write: Op, periods: tuple[object, ...]) -> list[str]:
    """Return what follows all commits: a stack starts again when its reset is due."""
    memory = memory_of(writer, write)
    if "reset" not in memory.attrs:
        return []
    state = stack_state(writer, memory)
    due = f"due[{periods.index(memory.attrs['reset'])}]"
    return [f"if {due}:", f"    {state} = {_restart(writer, memory)}"]


def _restart(writer: FunctionWriter, memory: Op) -> str:
    other = memory.attrs.get("restart")
    if other is None:
        return writer.states[memory.name][1]
    source = stack_of(writer.function, str(other))
    index = source.texts("members").index(str(other))
    weights = f"ops.members({stack_state(writer, source)}.anchor, {index}, {index + 1})"
    form = form_of(writer, memory, writer.ops[write_name(memory.name)])
    count = len(memory.texts("members"))
    if count > 1:
        weights = f"tuple(w.expand(-1, -1, {count}, -1, -1) for w in {weights})"
    return f"ops.fresh({form}, {weights}{_state_options(writer, memory)})"


def _whole_read(writer: FunctionWriter, op: Op, memory: Op, chosen: tuple[object, ...]) -> None:
    """Emit the matrix itself."""
    write = writer.ops[write_name(memory.name)]
    some = _chosen_answers(chosen, len(memory.texts("members")))
    if op.text("at") == "boundary" or op.flag("carried"):
        form, state = form_of(writer, memory, write), stack_state(writer, memory)
        weights = _standing(memory, form, state, op.text("at"))
        writer.assign(op, f"ops.standing({weights}[0]{some}, end - begin)")
        return
    pending = writer.region.values[write.name]
    answer = f"ops.whole({pending}, {op.text('at')!r}){some}"
    writer.assign(op, f"ops.merge_members({answer})")


def _standing(memory: Op, form: str, state: str, at: str) -> str:
    """Return weights that no event of the segment has moved yet."""
    plain = _is_plain(memory)
    if at == "boundary":
        return f"{state}.anchor" if plain else f"ops.weights_at_boundary({form}, {state})"
    return f"{state}.running" if plain else f"ops.weights_before({form}, {state})"


def _is_plain(memory: Op) -> bool:
    """Return whether reads ask the very weights that the state holds."""
    return not any(axis in memory.attrs for axis in ("mirror", "reduce", "gradient"))


def form_of(writer: FunctionWriter, memory: Op, write: Op) -> str:
    """Return the constant that says what a stack of memories is."""
    linear = memory.text("net") == "linear"
    fields: dict[str, object] = {
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
    given = ("bias", "norm", "power", "switch", "window", "events", "erase_key", "direction_steps")
    for axis in (*given, "mirror", "mirror_power", "gradient"):
        if axis in memory.attrs:
            fields[axis] = memory.attrs[axis]
    if memory.flag("self_values"):
        fields["self_values"] = True
    if stepped(write):
        fields["stepped"] = True
    if "reduce" in memory.attrs:
        fields["reduces"] = True
    if "towards" in memory.attrs:
        fields["towards_start"] = True
    if "per" in memory.attrs:
        fields["per"] = tuple(tuple(text.split(":", 1)) for text in memory.texts("per"))
    text = f"ops.MemoryConfig({', '.join(f'{key}={value!r}' for key, value in fields.items())})"
    return writer.forms.setdefault(text, writer.fresh(f"{writer.function.name.upper()}_FORM"))


def layer_shapes(memory: Op) -> list[tuple[int, int]]:
    """Return (out, in) of every matrix of a memory's net, for one head, input side first."""
    key, value = head_widths(memory)
    if memory.text("net") == "linear":
        return [(value, key)]
    sizes = [key, *[memory.integer("hidden")] * (memory.integer("layers") - 1), value]
    *hidden, (into, out) = pairwise(sizes)
    gates = 1 + memory.flag("gated")
    return [*((rows * gates, columns) for columns, rows in hidden), (out, into)]


def stack_state(writer: FunctionWriter, memory: Op) -> str:
    """Return the variable of a stack's state."""
    write = writer.ops[write_name(memory.name)]
    parts = _first_weights(writer, memory)
    form = form_of(writer, memory, write)
    options = _state_options(writer, memory)
    first = f"ops.first_state({form}, ({', '.join(parts)},), x.shape[0]{options})"
    return writer.state(memory.name, first)


def _first_weights(writer: FunctionWriter, memory: Op) -> list[str]:
    """Return the variables of what a stack starts from: its matrices, then its biases."""
    shapes = layer_shapes(memory)
    parts = [_stacked(writer, memory, f"W{i}", shape) for i, shape in enumerate(shapes)]
    if memory.flag("bias"):
        parts += [_stacked(writer, memory, f"b{i}", (out, 1)) for i, (out, _) in enumerate(shapes)]
    return parts


def _state_options(writer: FunctionWriter, memory: Op) -> str:
    write = writer.ops[write_name(memory.name)]
    options = {}
    if "window" in memory.attrs and kind(memory, "rate") != "head":
        options["rate"] = _numbers(memory, "rate")
    if "window" in memory.attrs and memory.text("objective") == "huber":
        options["delta"] = int("delta" in write.texts("roles"))
    if memory.flag("retain_first"):
        options["kept"] = _numbers(memory, "retain")
    return "".join(f", {key}={value!r}" for key, value in options.items())


def _numbers(memory: Op, role: str) -> int:
    """Return how many numbers a head's coefficient has; 0 for one alone."""
    columns, rows = head_widths(memory)
    return {"head": 0, "value": rows, "key": columns, "cell": rows * columns}[kind(memory, role)]


def _stacked(writer: FunctionWriter, memory: Op, name: str, shape: tuple[int, int]) -> str:
    """Return first weights of one layer of all members: (H, M, out, in)."""
    heads, parts = heads_of(memory), []
    members = memory.texts("members")
    sources = memory.texts("sources") or members
    for source, init in zip(sources, memory.texts("inits"), strict=True):
        parts.append(_first(memory, f"{source}.{name}", init, (heads, *shape)))
    return writer.weight(f"torch.stack(({', '.join(parts)},), 1)", f"{memory.name}.{name}")


def _first(memory: Op, key: str, init: str, shape: tuple[int, int, int]) -> str:
    heads, rows, columns = shape
    bias = key.rpartition(".")[2].startswith("b")
    if init == "zero" or (init == "identity" and bias):
        return f"like.new_zeros({heads}, {rows}, {columns})"
    if init == "identity":
        return f"torch.eye({rows}, {columns}).to(like).expand({heads}, -1, -1)"
    column = bias or memory.flag("vector")
    return f"p[{key!r}].view({heads}, {rows}, 1)" if column else f"p[{key!r}]"


def slow_of(writer: FunctionWriter, memory: Op) -> str:
    """Return gain and shift of a net's norm, (H, M, E) each; empty without a norm."""
    norm = str(memory.attrs.get("norm", "none"))
    names = {"none": (), "rms_norm": ("gain",), "layer_norm": ("gain", "shift")}[norm]
    parts = []
    for name in names:
        each = [f"p[{f'{member}.norm.{name}'!r}]" for member in memory.texts("members")]
        parts.append(f"torch.stack(({', '.join(each)},), 1)")
    if not parts:
        return ""
    return writer.weight(f"({', '.join(parts)},)", f"{memory.name}.norm")


def _rates(writer: FunctionWriter, memory: Op, write: Op) -> list[str]:
    """Return the coefficients that are not at their defaults."""
    like = writer.heads(write.inputs[1], heads_of(memory))
    given = []
    for role, default in RATES.items():
        known = role in write.attrs if default is ... else is_given(write, role, float(default))  # type: ignore[arg-type]
        if role in write.texts("roles") or known:
            name = "erase" if role == "erase_rate" else role
            given.append(f"{name}={rate_of(writer, memory, write, role, like)}")
    if "reduce" in memory.attrs:
        given.append(f"share={_share(writer, memory, write, like)}")
    return [f"ops.Rates({', '.join(given)})"]


def _share(writer: FunctionWriter, memory: Op, write: Op, like: str) -> str:
    if memory.text("reduce") == "mean":
        periods = {memory.integer("period"), memory.integer("reset", 0)} - {0}
        return f"ops.mean_share({like}, {writer.now()}, {tuple(sorted(periods))!r})"
    flow = write.inputs[write.texts("roles").index("share")]
    return writer.coefficient(flow, heads_of(memory))


def _queries(writer: FunctionWriter, op: Op, heads: int) -> str:
    """Return one query for all members (B, H, T, D), or one for each (B, H, M, T, D)."""
    order = op.attrs.get("query")
    if not isinstance(order, tuple):
        return writer.heads(op.inputs[1], heads)
    return writer.stacked_heads([op.inputs[1 + int(str(i))] for i in order], heads)


def _chosen_weights(weights: str, chosen: tuple[object, ...], total: int) -> str:
    if len(chosen) == total:
        return weights
    if _is_run(chosen):
        start, stop = _run(chosen)
        return f"ops.members({weights}, {start}, {stop})"
    return f"tuple(weight[:, :, {list(chosen)!r}] for weight in {weights})"


def _chosen_answers(chosen: tuple[object, ...], total: int) -> str:
    if len(chosen) == total:
        return ""
    if _is_run(chosen):
        start, stop = _run(chosen)
        return f"[:, :, {start}:{stop}]"
    return f"[:, :, {list(chosen)!r}]"


def _is_run(chosen: tuple[object, ...]) -> bool:
    return list(chosen) == list(range(*_run(chosen)))


def _run(chosen: tuple[object, ...]) -> tuple[int, int]:
    """Return the first member, and the one behind the last if none between is left out."""
    first = int(str(chosen[0]))
    return first, first + len(chosen)
