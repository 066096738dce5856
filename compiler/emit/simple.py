"""Lowering of each op without a memory to a line of Python."""

from __future__ import annotations

import functools
from collections.abc import Callable

from nestgraph.compiler.emit.writer import FunctionWriter
from nestgraph.compiler.ir import Attr, Op

Emitter = Callable[[FunctionWriter, Op], None]

UNARY = {
    "silu": "F.silu({})",
    "gelu": "F.gelu({})",
    "gelu_tanh": 'F.gelu({}, approximate="tanh")',
    "relu": "torch.relu({})",
    "sigmoid": "torch.sigmoid({})",
    "tanh": "torch.tanh({})",
    "softplus": "F.softplus({})",
    "exp": "torch.exp({})",
}

EMITTERS: dict[str, Emitter] = {}


def emits(*kinds: str) -> Callable[[Emitter], Emitter]:
    """Register the emitter of some kinds of op."""

    def register(emitter: Emitter) -> Emitter:
        for kind in kinds:
            assert kind not in EMITTERS, kind
            EMITTERS[kind] = emitter
        return emitter

    return register


def parameter(writer: FunctionWriter, op: Op, name: str) -> str:
    """Return the variable of one of the op's own parameters."""
    key = f"{op.text('owner')}.{name}"
    return writer.weight(f"p[{key!r}]", key)


@emits(*UNARY)
def unary(writer: FunctionWriter, op: Op) -> None:
    """Emit elementwise functions."""
    writer.assign(op, UNARY[op.kind].format(writer.flow(op.inputs[0])))


@emits("linear")
def linear(writer: FunctionWriter, op: Op) -> None:
    """Emit one matrix product."""
    arguments = [writer.flow(op.inputs[0]), parameter(writer, op, "weight")]
    if op.flag("bias"):
        arguments.append(parameter(writer, op, "bias"))
    writer.assign(op, f"F.linear({', '.join(arguments)})")


@emits("linears")
def linears(writer: FunctionWriter, op: Op) -> None:
    """Emit several maps of one flow in one product; their weights are joined once a forward."""
    arguments = [writer.flow(op.inputs[0])]
    for name in ("weight", *(("bias",) if op.flag("bias") else ())):
        parts = ", ".join(f"p[{f'{owner}.{name}'!r}]" for owner in op.texts("owners"))
        arguments.append(writer.weight(f"torch.cat(({parts}))", f"{op.name}.{name}"))
    writer.assign(op, f"F.linear({', '.join(arguments)})")


@emits("part")
def part(writer: FunctionWriter, op: Op) -> None:
    """Emit a run of channels; the first of its parts cuts the whole value.

    The gradient of a slice is as wide as the whole value, filled with zeros and added up part by
    part, where that of a split is joined once.
    """
    if op.name in writer.region.values:
        return
    parts = writer.parts(op)
    flow, sizes = writer.flow(op.inputs[0]), tuple(one.width for one in parts)
    names = [writer.fresh(one.name) for one in parts]
    writer.line(f"{', '.join(names)} = {flow}.split({sizes!r}, -1)")
    for one, name in zip(parts, names, strict=True):
        writer.bind(one, name)


@emits("conv")
def conv(writer: FunctionWriter, op: Op) -> None:
    """Emit causal depthwise convolution, and what it took on; remembers its last inputs."""
    flow, weight = writer.flow(op.inputs[0]), parameter(writer, op, "weight")
    taps = op.integer("width") - 1
    first = f"x.new_zeros(x.shape[0], {taps}, {op.width})"
    tail = writer.state(f"{op.attrs.get('tail', op.text('owner'))}.tail", first)
    options = "".join(f", {key}={op.attrs[key]}" for key in ("silu", "unit") if op.attrs.get(key))
    variable = writer.fresh(op.name)
    writer.line(f"{variable}, {tail} = ops.causal_conv({flow}, {weight}, {tail}{options})")
    writer.bind(op, variable)


@emits("rms_norm")
def rms_norm(writer: FunctionWriter, op: Op) -> None:
    """Emit root-mean-square norm within each head's run, and the gate that it took on."""
    gain, heads = parameter(writer, op, "gain"), op.integer("heads", 1)
    flow, *gate = (writer.flow(name) for name in op.inputs)
    name = "gated_norm" if gate else "rms_norm"
    writer.assign(op, f"ops.{name}({', '.join((flow, gain, *gate, str(heads)))})")


@emits("layer_norm")
def layer_norm(writer: FunctionWriter, op: Op) -> None:
    """Emit layer norm within each head's run."""
    gain, shift = parameter(writer, op, "gain"), parameter(writer, op, "shift")
    heads = op.integer("heads", 1)
    writer.assign(op, f"ops.layer_norm({writer.flow(op.inputs[0])}, {gain}, {shift}, {heads})")


@emits("l2_norm", "softmax")
def within_heads(writer: FunctionWriter, op: Op) -> None:
    """Emit norms without parameters."""
    heads = op.integer("heads", 1)
    writer.assign(op, f"ops.{op.kind}({writer.flow(op.inputs[0])}, {heads})")


@emits("affine")
def affine(writer: FunctionWriter, op: Op) -> None:
    """Emit constants: scale and shift."""
    scale, shift = op.number("scale"), op.number("shift")
    text = writer.flow(op.inputs[0])
    text = text if scale == 1 else f"{text} * {scale!r}"
    writer.assign(op, text if shift == 0 else f"{text} + {shift!r}")


@emits("bias")
def bias(writer: FunctionWriter, op: Op) -> None:
    """Emit a learned shift a channel."""
    writer.assign(op, f"{writer.flow(op.inputs[0])} + {parameter(writer, op, 'bias')}")


@emits("gain")
def gain(writer: FunctionWriter, op: Op) -> None:
    """Emit a learned factor a channel, or a head."""
    heads, width = op.attrs.get("heads"), op.width or 0
    if heads is None:
        factor = parameter(writer, op, "gain")
    else:
        key = f"{op.text('owner')}.gain"
        expression = f"p[{key!r}].repeat_interleave({width // op.integer('heads')})"
        factor = writer.weight(expression, key)
    writer.assign(op, f"{writer.flow(op.inputs[0])} * {factor}")


@emits("power")
def power(writer: FunctionWriter, op: Op) -> None:
    """Emit elementwise power."""
    flow, exponent = writer.flow(op.inputs[0]), op.number("exponent")
    known = {2.0: f"{flow} * {flow}", 0.5: f"torch.sqrt({flow})", -1.0: f"1.0 / {flow}"}
    writer.assign(op, known.get(exponent, f"{flow} ** {exponent!r}"))


@emits("sum")
def sum_(writer: FunctionWriter, op: Op) -> None:
    """Emit a sum, plain or weighted by numbers or learned."""
    flows = [writer.flow(name) for name in op.inputs]
    weights = op.attrs.get("weights")
    if weights == "learned":
        scale = parameter(writer, op, "weights")
        flows = [f"{scale}[{i}] * {flow}" for i, flow in enumerate(flows)]
    elif isinstance(weights, tuple):
        flows = [_weighted(w, flow) for w, flow in zip(weights, flows, strict=True)]
    writer.assign(op, " + ".join(flows).replace(" + -", " - "))


def _weighted(weight: Attr, flow: str) -> str:
    """Return a flow times a number, as text; a factor of one is no pass over the flow."""
    if weight in (1, -1):
        return flow if weight == 1 else f"-{flow}"
    return f"{weight!r} * {flow}"


@emits("product")
def product(writer: FunctionWriter, op: Op) -> None:
    """Emit a product of flows."""
    writer.assign(op, " * ".join(writer.flow(name) for name in op.inputs))


@emits("divide")
def divide(writer: FunctionWriter, op: Op) -> None:
    """Emit the first flow over the second."""
    writer.assign(op, " / ".join(writer.flow(name) for name in op.inputs))


@emits("max")
def largest(writer: FunctionWriter, op: Op) -> None:
    """Emit the larger of flows, channel by channel; equal ones share the gradient."""
    first, *others = map(writer.flow, op.inputs)
    text = functools.reduce(lambda one, other: f"torch.maximum({one}, {other})", others, first)
    writer.assign(op, text)


@emits("mean", "total")
def over_heads(writer: FunctionWriter, op: Op) -> None:
    """Emit one number a head."""
    heads = op.integer("heads", 1)
    writer.assign(op, f"ops.{op.kind}({writer.flow(op.inputs[0])}, {heads})")


@emits("tile")
def tile(writer: FunctionWriter, op: Op) -> None:
    """Emit the whole vector, several times."""
    writer.assign(op, f"ops.tile({writer.flow(op.inputs[0])}, {op.integer('times')})")


@emits("repeat")
def repeat(writer: FunctionWriter, op: Op) -> None:
    """Emit each channel, several times."""
    times, heads = op.attrs["times"], op.integer("heads", 1)
    writer.assign(op, f"ops.repeat_channels({writer.flow(op.inputs[0])}, {times!r}, {heads})")


@emits("slice")
def slice_(writer: FunctionWriter, op: Op) -> None:
    """Emit a run of each head."""
    start, size, heads = op.integer("start"), op.integer("size"), op.integer("heads", 1)
    flow = writer.flow(op.inputs[0])
    writer.assign(op, f"ops.slice_heads({flow}, {heads}, {start}, {size})")


@emits("decay")
def decay(writer: FunctionWriter, op: Op) -> None:
    """Emit exp(-exp(a) · in), a learned."""
    states = op.attrs.get("states") or 0
    arguments = f"{writer.flow(op.inputs[0])}, {parameter(writer, op, 'a')}, {states}"
    writer.assign(op, f"ops.decay({arguments})")


@emits("rope")
def rope(writer: FunctionWriter, op: Op) -> None:
    """Emit rotary positions."""
    options = f"{op.integer('heads', 1)}, {op.number('base')!r}, {_since(writer, op)}"
    writer.assign(op, f"ops.rope({writer.flow(op.inputs[0])}, {writer.now()}, {options})")


@emits("position")
def position(writer: FunctionWriter, op: Op) -> None:
    """Emit 1, 2, 3, ...; its input, when it has one, only says how many."""
    flow = writer.flow(op.inputs[0] if op.inputs else writer.function.input)
    writer.assign(op, f"ops.position({flow}, {writer.now()}, {_since(writer, op)})")


@emits("lookup")
def lookup(writer: FunctionWriter, op: Op) -> None:
    """Emit a learned table at a position."""
    table = parameter(writer, op, "table")
    writer.assign(op, f"ops.lookup({writer.flow(op.inputs[0])}, {table})")


@emits("polynomial")
def polynomial(writer: FunctionWriter, op: Op) -> None:
    """Emit learned coefficients of a power series, channel by channel."""
    coefficients = parameter(writer, op, "coefficients")
    writer.assign(op, f"ops.polynomial({writer.flow(op.inputs[0])}, {coefficients})")


@emits("ones")
def ones(writer: FunctionWriter, op: Op) -> None:
    """Emit the key of a vector."""
    flow = writer.flow(writer.function.input)
    writer.assign(op, f"{flow}.new_ones(*{flow}.shape[:2], {op.width})")


@emits("constant")
def constant(writer: FunctionWriter, op: Op) -> None:
    """Emit one vector at every position."""
    flow = writer.flow(op.inputs[0] if op.inputs else writer.function.input)
    writer.assign(op, f"{parameter(writer, op, 'value')}.expand(*{flow}.shape[:2], -1)")


def _since(writer: FunctionWriter, op: Op) -> int:
    since = op.attrs.get("since")
    if since is None:
        return 0
    return next(clock.period for clock in writer.program.clocks if clock.name == since)
