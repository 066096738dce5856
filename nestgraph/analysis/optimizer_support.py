"""What of the language an optimizer's blocks may not use, because nothing runs it there.

Each refusal names the field that asks for more, so that nothing accepted is ever ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.errors import Diagnostic, Span
from nestgraph.language.groups import rules
from nestgraph.language.system import FlatBlock, Memory, Node, System
from nestgraph.shapes.flows import coefficients, spot

# fmt: off
OPS = frozenset({
    "affine", "power", "sum", "product", "divide", "max", "sign", "l2_norm", "clip", "softmax",
    "silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "softplus", "exp",
    "newton_schulz", "debias", "pool", "identity", "transpose", "matmul", "matrix_power",
})
# fmt: on
INITS = ("zero", "identity", "fixed", "given")
HINT = "`check`, `draw` and `show` work on it"

Refusal = tuple[str, str, str]  # code, field of the memory, what isn't run


def refused(system: System) -> Iterator[Diagnostic]:
    """Yield every field of an optimizer's blocks that asks for what nothing runs in an
    optimizer.
    """
    blocks = {id(rule.block): rule.block for rule in rules(system)}
    for block in blocks.values():
        for node in block.nodes.values():
            if isinstance(node, Node):
                yield from _node(node)
        for memory in block.memories.values():
            yield from _memory(block, memory)


def _not_here(code: str, what: str, span: Span | None) -> Diagnostic:
    return Diagnostic(
        code=code, message=f"nothing runs {what} in an optimizer", hint=HINT, span=span
    )


def _node(node: Node) -> Iterator[Diagnostic]:
    span = node.spans.get("op") or node.span
    if node.op not in OPS:
        yield _not_here("NG910", f"the op `{node.op}`", span)
    if node.fields.get("weights") == "learned":
        yield _not_here("NG910", "learned `weights`", node.spans.get("weights") or span)
    if node.fields.get("heads", 1) not in (1, None):
        yield _not_here("NG905", "`heads` of an op", node.spans.get("heads") or span)


def _memory(block: FlatBlock, memory: Memory) -> Iterator[Diagnostic]:
    for code, field, what in (*_shape(memory), *_rule(block, memory), *_surroundings(memory)):
        yield _not_here(code, what, spot(memory, field))
    for field, coefficient in coefficients(memory):
        several = coefficient.numbers is not None and len(coefficient.numbers) > 1
        if coefficient.per != "head" or several:
            span = coefficient.span or spot(memory, field)
            yield _not_here("NG905", "a coefficient other than one number", span)


def _shape(memory: Memory) -> Iterator[Refusal]:
    net, objective = memory.net, memory.objective
    if net.kind == "attention":
        yield "NG902", "net", "an `attention` memory"
    if net.out is not None:
        yield "NG902", "net.out", "`out` of a net"
    if net.gated:
        yield "NG902", "net.gated", "`gated` in a net"
    if net.bias:
        yield "NG902", "net.bias", "`bias` in a net"
    if net.norm != "none":
        yield "NG902", "net.norm", f"`norm: {net.norm}` in a net"
    if memory.heads > 1:
        yield "NG902", "heads", "`heads` of a memory"
    if objective.window > 1:
        yield "NG903", "objective.window", "a `window` of several events"
    if objective.delta is not None and objective.delta.number is None:
        yield "NG903", "objective.delta", "a `delta` other than one number"


def _rule(block: FlatBlock, memory: Memory) -> Iterator[Refusal]:
    rule, param = memory.rule, memory.init.kind == "given"
    if rule.mirror != "none":
        yield "NG904", "rule.mirror", f"`mirror: {rule.mirror}`"
    if rule.reduce != "sum" or rule.reduce_is_flow:
        yield "NG904", "rule.reduce", f"`reduce: {rule.reduce}`"
    if rule.retain_first:
        yield "NG904", "rule.retain_first", "`retain_first`"
    if rule.towards != "zero":
        yield "NG904", "rule.retain", f"`retain` with `towards: {rule.towards}`"
    if rule.erase.key is not None:
        yield "NG904", "rule.erase", "an erase `key` of its own"
    if rule.implicit and not param:
        yield "NG904", "rule.implicit", "`implicit` on a memory other than the parameter"
    if rule.erase.where != "none" and memory.net.kind == "mlp":
        yield "NG904", "rule.erase", "`erase` on an `mlp`"
    momentum = rule.momentum.flow
    if momentum is not None:
        yield "NG904", "rule.momentum", "a `momentum` that a flow makes"


def _surroundings(memory: Memory) -> Iterator[Refusal]:
    if memory.init.kind not in INITS:
        yield "NG906", "init", f"`init: {memory.init.kind}`"
    if memory.reset.unit != "never":
        yield "NG907", "reset", "`reset`"
    if memory.gradient != "full":
        yield "NG908", "gradient", f"`gradient: {memory.gradient}`"
    if len(memory.keys) > 1 or len(memory.values) > 1:
        yield "NG909", "keys", "several events a row"
    if memory.self_values:
        yield "NG909", "values", "a memory's own answers as its values"
