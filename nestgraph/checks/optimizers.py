"""Blocks of optimizers: one parameter each, told how to move, and ops that only they have."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.optimizer_flows import NUMBER, misfits, said, shapes
from nestgraph.checks.registry import Finding, Scope, block_rule, node_rule
from nestgraph.language.system import Memory, Node
from nestgraph.schema.ops import OF_OPTIMIZERS
from nestgraph.shapes.flows import coefficients, spot

LEARNED_OPS = frozenset(
    {"linear", "conv", "rms_norm", "layer_norm", "bias", "gain", "polynomial", "decay", "lookup"}
)


@block_rule("NG340")
def an_optimizer_moves_one_parameter(scope: Scope) -> Iterator[Finding]:
    """Yield the memory that starts as the `given` parameter is what the optimizer moves."""
    if scope.in_model:
        return
    given = [m for m in scope.block.memories.values() if m.init.kind == "given"]
    if len(given) == 1:
        return
    said = "no memory" if not given else f"{len(given)} memories"
    place = given[1] if given else scope.block
    yield Finding(
        message=f"`{scope.block.name}` has {said} with `init: given`; an optimizer moves one",
        hint="give exactly one memory `init: given`: it is the parameter",
        span=place.span,
    )


IN_MODELS = {
    "clip": "`{op: l2_norm}` brings a vector to length 1",
    "debias": "`{op: affine, scale: ...}` scales by a number",
    "identity": "a learned vector is `{op: constant, out: ...}`",
    "matmul": "a learned matrix is `{op: linear}`; two flows are multiplied by `{op: product}`",
    "matrix_power": "`{op: power, exponent: ...}` takes each channel to a power",
    "newton_schulz": "`{op: l2_norm}` does to a vector what this does to a matrix",
    "pool": "what is kept over positions is a memory: `{net: vector, values: v, level: ...}`",
    "sign": "the nearest is `tanh`",
    "transpose": "leave it out: a vector has one direction",
}
"""What comes nearest in a model."""


@node_rule("NG336")
def matrix_ops_stay_in_optimizers(scope: Scope, node: Node) -> Iterator[Finding]:
    """Report ops that a model can't have: its flows are vectors at every token; these ops take
    matrices, or skip steps.
    """
    over = scope.in_model and node.fields.get("over") == "all"
    if over or (scope.in_model and node.op in OF_OPTIMIZERS):
        what = "`over: all`" if over else f"`{node.op}`"
        why = "have a value at every token" if node.op == "pool" else "are vectors"
        yield Finding(
            message=f"{what} is for optimizers: a model's flows {why}",
            hint="write `{op: l2_norm}`, of one vector" if over else IN_MODELS[node.op],
            span=node.spans.get("over") or node.spans.get("op") or node.span,
        )


@node_rule("NG356")
def a_pool_comes_to_an_end(scope: Scope, node: Node) -> Iterator[Finding]:
    """Report what is pooled over a level that never ticks, and would never come out."""
    level = node.fields.get("level")
    clock = scope.system.clocks.get(str(level)) if node.op == "pool" else None
    if level == "never" or (clock is not None and clock.unit == "never"):
        yield Finding(
            message=f"nothing comes out of a pool over `{level}`, which never ticks",
            hint="choose a level that counts steps",
            span=node.spans.get("level") or node.span,
        )


@block_rule("NG345")
def the_parameter_is_told_how_to_move(scope: Scope) -> Iterator[Finding]:
    """Yield the given memory follows the task; any other objective, or no clock, would be no
    update.
    """
    for memory in scope.block.memories.values() if not scope.in_model else ():
        if memory.init.kind != "given":
            continue
        name = scope.label(memory.name)
        if memory.objective.kind != "task":
            yield Finding(
                message=f"nothing updates `{name}`: its objective is `{memory.objective.kind}`",
                hint="write `objective: {kind: task, through: u}`, where `u` is the step's flow",
                span=spot(memory, "objective"),
            )
        elif memory.level.unit == "never":
            yield Finding(
                message=f"nothing updates `{name}`: its level never ticks",
                hint="choose a level that counts steps, like `step`",
                span=spot(memory, "level"),
            )
        elif memory.net.kind not in ("vector", "linear"):
            yield Finding(
                message=f"`{name}` is `{memory.net.kind}`; a parameter is a `vector`, or `linear`"
                " under the inputs of its layer",
                hint="write `net: vector`",
                span=spot(memory, "net"),
            )


@node_rule("NG349")
def an_optimizer_has_nothing_to_learn(scope: Scope, node: Node) -> Iterator[Finding]:
    """Yield nobody trains the parameters of an optimizer."""
    learned = node.op in LEARNED_OPS or node.fields.get("weights") == "learned"
    if not scope.in_model and learned:
        yield Finding(
            message=f"`{node.op}` learns, and nobody trains what an optimizer learns",
            hint="use an op without parameters, or a memory",
            span=node.spans.get("op") or node.span,
        )


@block_rule("NG349")
def memories_of_an_optimizer_start_somewhere(scope: Scope) -> Iterator[Finding]:
    """Report `learned` in an optimizer: the default is for models."""
    for memory in scope.block.memories.values() if not scope.in_model else ():
        if memory.init.kind == "learned":
            yield Finding(
                message=f"`{scope.label(memory.name)}` starts `learned`, and nobody trains that",
                hint="write `init: zero`, `identity` or `fixed`",
                span=spot(memory, "init"),
            )


@block_rule("NG221")
def coefficients_of_an_optimizer_are_numbers(scope: Scope) -> Iterator[Finding]:
    """Report a flow of the parameter's shape where a number is wanted; one a cell has words of its
    own (`per`).
    """
    if scope.in_model:
        return
    known = shapes(scope.block)
    for memory in scope.block.memories.values():
        for field, coefficient in coefficients(memory):
            shape = known.get(coefficient.flow or "", NUMBER)
            if coefficient.per == "head" and shape != NUMBER:
                short = field.removeprefix("rule.").removeprefix("objective.")
                yield Finding(
                    message=f"`{short}: {coefficient.flow}` is {said(shape)}, but"
                    f" `{scope.label(memory.name)}` takes one number",
                    hint="make it of `lr` and constants, or multiply what the memory stores by it",
                    span=coefficient.span or spot(memory, field),
                )


@block_rule("NG231")
def flows_of_an_optimizer_fit(scope: Scope) -> Iterator[Finding]:
    """Yield rows and channels of a parameter, whatever its size."""
    for part, field, message in misfits(scope.block) if not scope.in_model else ():
        span = spot(part, field) if isinstance(part, Memory) else part.spans.get(field) or part.span
        yield Finding(
            message=message,
            hint="flows have the shape of the parameter, rows by channels, unless an op changes it",
            span=span,
        )
