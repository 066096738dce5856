"""What the language has and no executor runs yet: compiling, training or interpreting refuses it.

`check`, `draw` and `show` work on everything. Each refusal names the field that asks for more,
so that nothing accepted is ever ignored. Codes are NG9xx.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nestgraph.errors import Diagnostic, Span, in_file_order
from nestgraph.shapes.flows import coefficients, reads_by_memory, spot
from nestgraph.system import Memory, Node, Read, System

# fmt: off
OPS = frozenset({
    "linear", "conv", "rms_norm", "layer_norm", "l2_norm", "softmax",
    "silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "softplus", "exp",
    "affine", "bias", "gain", "power", "sum", "product", "divide",
    "mean", "total", "tile", "repeat", "slice", "decay", "rope", "position",
})
# fmt: on
OPTIMIZERS = frozenset({"adamw"})

Refusal = tuple[str, str, str]  # code, field of the memory, what isn't run yet


def unsupported(system: System) -> tuple[Diagnostic, ...]:
    """Every field that asks for what no executor runs yet, at its place."""
    return in_file_order((*_optimizer_spec(system), *_training(system), *_blocks(system)))


def _not_yet(code: str, what: str, span: Span | None, cure: str = "") -> Diagnostic:
    return Diagnostic(
        code=code,
        message=f"nothing runs {what} yet, though the language has it",
        hint=cure or "`check`, `draw` and `show` work on it",
        span=span,
    )


def _optimizer_spec(system: System) -> Iterator[Diagnostic]:
    groups = system.optimizer or ()
    if groups:
        yield _not_yet("NG901", f"the optimizer `{system.name}`", groups[0].span)


def _training(system: System) -> Iterator[Diagnostic]:
    name = system.training.optimizer
    if system.model and name not in OPTIMIZERS:
        span = system.training.spans.get("optimizer")
        yield _not_yet("NG912", f"`optimizer: {name}`", span, "train with `optimizer: adamw`")


def _blocks(system: System) -> Iterator[Diagnostic]:
    layers = system.model.layers if system.model else ()
    for block in {id(layer.block): layer.block for layer in layers}.values():
        reads = reads_by_memory(block)
        for memory in block.memories.values():
            yield from _memory(memory, reads.get(memory.name, ()))
        for node in block.nodes.values():
            if isinstance(node, Node):
                yield from _node(node)


def _node(node: Node) -> Iterator[Diagnostic]:
    span = node.spans.get("op") or node.span
    if node.op not in OPS:
        yield _not_yet("NG910", f"the op `{node.op}`", span)
    if node.op == "l2_norm" and node.fields.get("over") == "all":
        yield _not_yet("NG910", "`over: all`", node.spans.get("over") or span)
    if node.tie is not None:
        yield _not_yet("NG911", "`tie`", node.spans.get("tie") or span)


def _memory(memory: Memory, reads: Iterable[Read]) -> Iterator[Diagnostic]:
    refusals: Iterable[Refusal] = (
        *_net(memory),
        *_objective(memory),
        *_rule(memory),
        *_surroundings(memory),
    )
    for code, field, what in refusals:
        yield _not_yet(code, what, spot(memory, field))
    for field, coefficient in coefficients(memory):
        if coefficient.per != "head":
            span = coefficient.span or spot(memory, field)
            yield _not_yet("NG905", f"`per: {coefficient.per}`", span)
    for read in reads:
        yield from _read(memory, read)


def _read(memory: Memory, read: Read) -> Iterator[Diagnostic]:
    if read.query is None and memory.net.kind != "vector":
        yield _not_yet("NG913", f"reading `{memory.name}` without a `query`", read.span)


def _net(memory: Memory) -> Iterator[Refusal]:
    net = memory.net
    if net.kind == "vector":
        yield "NG902", "net", "a `vector` memory"
    if net.window is not None:
        yield "NG902", "net.window", "`window` of attention"
    if net.out is not None:
        yield "NG902", "net.out", "`out` of a net"
    if net.bias:
        yield "NG902", "net.bias", "`bias` in a net"
    if net.norm != "none":
        yield "NG902", "net.norm", f"`norm: {net.norm}` in a net"


def _objective(memory: Memory) -> Iterator[Refusal]:
    objective = memory.objective
    if objective.kind in ("huber", "lp"):
        yield "NG903", "objective", f"the objective `{objective.kind}`"
    if memory.is_fast and memory.net.kind == "vector":
        yield "NG903", "objective", "the objective `task` on a `vector` memory in a model"
    if objective.window > 1:
        yield "NG903", "objective.window", "a `window` of several events"


def _rule(memory: Memory) -> Iterator[Refusal]:
    rule = memory.rule
    if memory.is_fast:
        return
    if rule.direction != "gradient":
        yield "NG904", "rule.direction", f"`direction: {rule.direction}`"
    if rule.step.number != 1:
        yield "NG904", "rule.step", "a `step` other than 1"
    if rule.mirror != "none":
        yield "NG904", "rule.mirror", f"`mirror: {rule.mirror}`"
    if rule.reduce != "sum" or rule.reduce_is_flow:
        yield "NG904", "rule.reduce", f"`reduce: {rule.reduce}`"
    if rule.erase.key is not None:
        yield "NG904", "rule.erase", "an erase `key` of its own"


def _surroundings(memory: Memory) -> Iterator[Refusal]:
    if memory.is_fast:
        if memory.init.kind == "checkpoint":
            yield "NG906", "init", "`init: checkpoint`"
        return
    if memory.init.kind not in ("learned", "zero"):
        yield "NG906", "init", f"`init: {memory.init.kind}`"
    if memory.init.entries:
        yield "NG906", "init.entries", "`entries` of attention"
    if memory.reset.unit != "never":
        yield "NG907", "reset", "`reset`"
    if memory.gradient != "full":
        yield "NG908", "gradient", f"`gradient: {memory.gradient}`"
    if len(memory.keys) > 1:
        yield "NG909", "keys", "several events at one position"
