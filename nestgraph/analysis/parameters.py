"""Every learned tensor of a model: its name, its shape, and how it starts.

The table is the one place that knows this, so that executors, costs and checkpoints agree.
It needs a system whose widths are known (`nestgraph.shapes.infer`).

How parameters start. A linear map draws from a normal distribution of standard deviation
1/sqrt(3 fan_in), which has the variance of PyTorch's own default, where its `std` doesn't say
otherwise; a convolution 1/sqrt(taps), which keeps the variance of its input (its last tap is the
current token). A memory's matrices draw 1/sqrt(fan_in) where `init.std` doesn't say otherwise,
embeddings and heads 0.02. Gains start at 1, shifts and decays at 0 or at what `init` says, and n
learned sum weights at 1/n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nestgraph.language.system import FlatBlock, Init, Layer, Memory, Model, Net, Node, System

Start = Literal["normal", "zeros", "ones", "constant", "spread", "identity", "taylor", "file"]
TRAINED = ("learned", "checkpoint")  # first states that are parameters, `fixed` besides
Role = Literal["embedding", "head", "matrix", "kernel", "vector", "state"]

EMBEDDING_STD = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterSpec:
    """One learned tensor.

    Attributes:
        name: path of the tensor in a `state_dict`, like `0.hope.a.q.weight`.
        shape: sizes; memories lead with their heads.
        init: how it starts. `identity` is a unit matrix a head, `taylor` the numbers 1/i!,
            `spread` numbers at equal distances, `file` what `nestgraph.runtime.file_starts` finds.
        value: the number of a `constant`, the first one of a `spread`.
        last: the last number of a `spread`.
        run: after how many numbers a `spread` begins again.
        log: whether a `spread` holds the logarithms of its numbers.
        std: standard deviation of a `normal`.
        role: what optimizers choose it by.
        period: it moves every so many outer steps; 1 but for `task` memories on steps.
        level: the clock that it moves on, by the author's name.
        trained: false for a state that is drawn once and never trained (`init: fixed`).
        tied: whether several ops share it.
        like: the parameter whose first numbers it has too; empty for its own.
    """

    name: str
    shape: tuple[int, ...]
    init: Start
    value: float = 0.0
    last: float = 0.0
    run: int = 0
    log: bool = False
    std: float = 0.0
    role: Role = "matrix"
    period: int = 1
    level: str = "step"
    trained: bool = True
    tied: bool = False
    like: str = ""

    @property
    def size(self) -> int:
        """Return how many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateShape:
    """One tensor of a memory's state, without the batch: `W0` is the input side."""

    name: str
    shape: tuple[int, ...]
    fan_in: int  # 0 for biases

    @property
    def is_matrix(self) -> bool:
        """Return whether the rule's erase and implicit rate apply to it."""
        return self.fan_in > 0


def parameter_table(system: System) -> tuple[ParameterSpec, ...]:
    """Return all parameters of a model, in the order in which they are read; none for an
    optimizer.
    """
    return tuple(_model_parameters(system.model)) if system.model else ()


def hidden_width(net: Net, key_width: int) -> int:
    """Return width of an mlp's inner layers for keys of one head's width."""
    return max(1, math.floor(net.expansion * key_width + 0.5))


def state_shapes(memory: Memory) -> tuple[StateShape, ...]:
    """Return the tensors that a memory's state consists of, per head; none for attention."""
    heads, (d_k, d_v) = memory.heads, head_widths(memory)
    match memory.net.kind:
        case "attention":
            return ()
        case "vector":
            return (StateShape(name="W0", shape=(heads, d_v), fan_in=1),)
        case "linear":
            return (StateShape(name="W0", shape=(heads, d_v, d_k), fan_in=d_k),)
        case "mlp":
            return tuple(_mlp_shapes(memory.net, heads, d_k, d_v))


def head_widths(memory: Memory) -> tuple[int, int]:
    """Return widths of one head's keys and values; 0 where they are unknown."""
    return (memory.key_width or 0) // memory.heads, (memory.value_width or 0) // memory.heads


def op_parameters(node: Node, width_in: int) -> tuple[ParameterSpec, ...]:
    """Return what one op learns, with names not yet prefixed by its owner."""
    return tuple(_op_parameters(node, width_in, node.width or 0))


def _model_parameters(model: Model) -> Iterator[ParameterSpec]:
    table = (model.vocab, model.width)
    yield _normal("embed.weight", table, EMBEDDING_STD, role="embedding")
    for layer in model.layers:
        yield from _layer_parameters(layer, model.width)
    if model.norm is not None:
        yield _ones("norm.gain", (model.width,))
    if model.norm == "layer_norm":
        yield _zeros("norm.shift", (model.width,))
    if not model.tie_head:
        yield _normal("head.weight", (model.classes, model.width), EMBEDDING_STD, role="head")


def _layer_parameters(layer: Layer, width: int) -> Iterator[ParameterSpec]:
    block = layer.block
    for memory in block.memories.values():
        source = start_origin(block, memory)
        for spec in _memory_parameters(memory, source):
            like = "" if source is memory else f"{layer.path}.{source.name}.{spec.name}"
            yield replace(spec, name=f"{layer.path}.{memory.name}.{spec.name}", like=like)
    nodes = [node for node in block.nodes.values() if isinstance(node, Node)]
    shared = {node.tie for node in nodes}
    for node in nodes:
        if node.tie is not None:
            continue
        tied = node.owner in shared
        for spec in op_parameters(node, input_width(block, node, width)):
            yield replace(spec, name=f"{layer.path}.{node.owner}.{spec.name}", tied=tied)


def input_width(block: FlatBlock, node: Node, model_width: int) -> int:
    """Return width of a node's first input; 0 where it takes none."""
    if not node.inputs:
        return 0
    source = block.nodes.get(node.inputs[0])
    return model_width if source is None else source.width or 0


def _normal(
    name: str, shape: tuple[int, ...], std: float, *, role: Role = "matrix"
) -> ParameterSpec:
    return ParameterSpec(name=name, shape=shape, init="normal", std=std, role=role)


def _ones(name: str, shape: tuple[int, ...]) -> ParameterSpec:
    return ParameterSpec(name=name, shape=shape, init="ones", role="vector")


def _zeros(name: str, shape: tuple[int, ...]) -> ParameterSpec:
    return ParameterSpec(name=name, shape=shape, init="zeros", role="vector")


def _constant(name: str, shape: tuple[int, ...], value: object) -> ParameterSpec:
    """Return a vector of one number, or of numbers between a first and a last one."""
    if isinstance(value, list | tuple):
        return _spread(name, shape, value, run=math.prod(shape))
    number = float(value) if isinstance(value, int | float) else 0.0
    return ParameterSpec(name=name, shape=shape, init="constant", value=number, role="vector")


def _spread(
    name: str, shape: tuple[int, ...], ends: Sequence[float], *, run: int, log: bool = False
) -> ParameterSpec:
    return ParameterSpec(
        name=name,
        shape=shape,
        init="spread",
        value=float(ends[0]),
        last=float(ends[1]),
        run=run,
        log=log,
        role="vector",
    )


def _decay(fields: Mapping[str, object], width: int) -> ParameterSpec:
    """Return `a` of a `decay`: the logarithms of the rates that it starts with."""
    rates = fields.get("init", 1.0)
    if isinstance(rates, list | tuple):
        run = _whole(fields, "states") if fields.get("states") else width
        return _spread("a", (width,), rates, run=run, log=True)
    number = float(rates) if isinstance(rates, int | float) else 1.0
    return _zeros("a", (width,)) if number == 1 else _constant("a", (width,), math.log(number))


def _op_parameters(node: Node, width_in: int, width_out: int) -> Iterator[ParameterSpec]:
    fields = node.fields
    match node.op:
        case "linear":
            yield _linear(fields, width_in, width_out)
            if fields.get("bias"):
                yield _zeros("bias", (width_out,))
        case "conv":
            taps = _whole(fields, "width")
            yield _normal("weight", (width_in, taps), 1 / math.sqrt(taps), role="kernel")
        case "rms_norm":
            yield _ones("gain", (width_in,))
        case "layer_norm":
            yield _ones("gain", (width_in,))
            yield _zeros("shift", (width_in,))
        case "bias":
            yield _constant("bias", (width_in,), fields.get("init", 0.0))
        case "gain":
            count = _whole(fields, "heads") if fields.get("heads") else width_in
            yield _constant("gain", (count,), fields.get("init", 1.0))
        case "decay":
            yield _decay(fields, width_out)
        case "constant":
            vector = _constant("value", (width_out,), fields.get("init", 0.0))
            yield replace(vector, trained=bool(fields.get("trained", True)))
        case "sum" if fields.get("weights") == "learned":
            count = len(node.inputs)
            yield _constant("weights", (count,), 1 / count)
        case "polynomial":
            degree = _whole(fields, "degree")
            yield ParameterSpec(
                name="coefficients", shape=(degree + 1,), init="taylor", role="vector"
            )
        case "lookup":
            yield _constant("table", (_whole(fields, "size"),), fields.get("init", 0.0))


def _linear(fields: Mapping[str, object], width_in: int, width_out: int) -> ParameterSpec:
    std, shape = fields.get("std"), (width_out, width_in)
    if std == 0:
        return replace(_zeros("weight", shape), role="matrix")
    given = float(std) if isinstance(std, int | float) else 1 / math.sqrt(3 * width_in)
    return _normal("weight", shape, given)


def _whole(fields: Mapping[str, object], field: str) -> int:
    value = fields.get(field)
    return value if isinstance(value, int) else 1


def _mlp_shapes(net: Net, heads: int, d_k: int, d_v: int) -> Iterator[StateShape]:
    inner = [hidden_width(net, d_k)] * (net.layers - 1)
    widths = [d_k, *inner, d_v]
    rows = [*(width * (1 + net.gated) for width in inner), d_v]  # a gate stands above its values
    pairs = list(zip(widths[:-1], rows, strict=True))
    for layer, (into, out) in enumerate(pairs):
        yield StateShape(name=f"W{layer}", shape=(heads, out, into), fan_in=into)
    for layer, (_, out) in enumerate(pairs if net.bias else ()):
        yield StateShape(name=f"b{layer}", shape=(heads, out), fan_in=0)


def starts(block: FlatBlock, memory: Memory) -> tuple[Memory, ...]:
    """Return a memory, the one that it starts as, and so on to one with a start of its own.

    A chain that goes round, which the checks refuse, ends before it comes back.
    """
    chain = {memory.name: memory}
    while (name := memory.init.memory) is not None and name not in chain:
        memory = chain[name] = block.memories[name]
    return tuple(chain.values())


def start_origin(block: FlatBlock, memory: Memory) -> Memory:
    """Return the memory whose first numbers the parameters of one have: of a group on steps the
    origin.
    """
    return starts(block, memory)[-1] if memory.is_step_group else memory


def _memory_parameters(memory: Memory, source: Memory) -> Iterator[ParameterSpec]:
    yield from _start_parameters(memory, source.init)
    heads, (_, d_v) = memory.heads, head_widths(memory)
    if memory.net.norm != "none":
        yield _ones("norm.gain", (heads, d_v))
    if memory.net.norm == "layer_norm":
        yield _zeros("norm.shift", (heads, d_v))


def _start_parameters(memory: Memory, init: Init) -> Iterator[ParameterSpec]:
    """Yield the learned first state, which a group on steps keeps as its only state."""
    entries = memory.init.entries
    if memory.net.kind == "attention" and entries:
        for side, width in zip(("keys", "values"), head_widths(memory), strict=True):
            std = memory.init.std
            std = 1 / math.sqrt(max(1, width)) if std is None else std
            yield _normal(side, (memory.heads, entries, width), std, role="state")
    if not memory.is_step_group and memory.init.kind not in (*TRAINED, "fixed"):
        return
    for state in state_shapes(memory):
        yield _start(memory, init, state)


def _start(memory: Memory, init: Init, state: StateShape) -> ParameterSpec:
    group = memory.is_step_group
    default = 1 / math.sqrt(state.fan_in) if state.is_matrix else 0.0
    std = default if init.std is None else init.std
    if init.last is not None and state.name == last_matrix(memory.net):
        std = init.last
    zero = init.kind == "zero" or std == 0.0
    return ParameterSpec(
        name=state.name,
        shape=state.shape,
        init=_start_kind(init, zero),
        std=0.0 if zero else std,
        role="state",
        period=memory.level.period if group else 1,
        level=memory.level.name if group else "step",
        trained=memory.init.kind != "fixed",
    )


def last_matrix(net: Net) -> str:
    """Return the name of the matrix that makes a net's answer."""
    return f"W{net.layers - 1}" if net.kind == "mlp" else "W0"


def _start_kind(init: Init, zero: bool) -> Start:
    if init.kind == "identity":
        return "identity"
    if init.kind == "checkpoint":
        return "file"
    return "zeros" if zero else "normal"
