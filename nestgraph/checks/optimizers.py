"""Optimizers: one parameter a block, a group for every parameter, and ops that only they have."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, block_rule, node_rule, system_rule
from nestgraph.optimizer_flows import matrix_parts, misfits
from nestgraph.shapes.flows import spot
from nestgraph.system import Group, Memory, Node, System

CATCH_ALL = ("all", "rest")
MATRICES = frozenset({"hidden_matrices", "embeddings", "head"})
ONLY_IN_OPTIMIZERS = frozenset(
    {
        "newton_schulz",
        "debias",
        "identity",
        "sign",
        "clip",
        "transpose",
        "matmul",
        "matrix_power",
        "pool",
    }
)
LEARNED_OPS = frozenset(
    {"linear", "conv", "rms_norm", "layer_norm", "bias", "gain", "polynomial", "decay", "lookup"}
)


@block_rule("NG340")
def an_optimizer_moves_one_parameter(scope: Scope) -> Iterator[Finding]:
    """The memory that starts as the `given` parameter is what the optimizer moves."""
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


@system_rule("NG341")
def every_parameter_has_a_group(system: System) -> Iterator[Finding]:
    """A parameter that no group matches would stand still."""
    if system.optimizer is None:
        return
    kinds = {group.kind for group in system.optimizer}
    matched = MATRICES if "matrices" in kinds else frozenset[str]()
    # What groups by name take is not known here, so they count for nothing.
    missing = sorted((MATRICES | {"vectors"}) - matched - kinds)
    if missing and not kinds.intersection(CATCH_ALL):
        spans = [group.span for group in system.optimizer]
        yield Finding(
            message=f"no group matches {', '.join(missing)}: these parameters would never move",
            hint="add a last group `{for: rest, spec: adamw}`",
            span=spans[0] if spans else None,
        )


@system_rule("NG342", severity="warning")
def every_group_can_be_reached(system: System) -> Iterator[Finding]:
    """The first match wins, so nothing is left after a group for all."""
    groups = system.optimizer or ()
    kinds = [group.kind for group in groups]
    ends = [i for i, kind in enumerate(kinds) if kind in CATCH_ALL]
    for group in groups[ends[0] + 1 :] if ends else ():
        yield Finding(
            message=f"`for: {group.names or group.kind}` is never reached: "
            f"`{kinds[ends[0]]}` before it takes every parameter",
            hint=f"move it before `{kinds[ends[0]]}`",
            span=group.span,
        )


@node_rule("NG336")
def matrix_ops_stay_in_optimizers(scope: Scope, node: Node) -> Iterator[Finding]:
    """A model's flows are vectors at every token; these ops take matrices, or skip steps."""
    over = scope.in_model and node.fields.get("over") == "all"
    if over or (scope.in_model and node.op in ONLY_IN_OPTIMIZERS):
        what = "`over: all`" if over else f"`{node.op}`"
        why = "have a value at every token" if node.op == "pool" else "are vectors"
        yield Finding(
            message=f"{what} is for optimizers: a model's flows {why}",
            hint="use another op",
            span=node.spans.get("over") or node.spans.get("op") or node.span,
        )


@block_rule("NG345")
def the_parameter_is_told_how_to_move(scope: Scope) -> Iterator[Finding]:
    """The given memory follows the task; any other objective, or no clock, would be no update."""
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


@system_rule("NG343")
def rules_for_matrices_meet_no_vectors(system: System) -> Iterator[Finding]:
    """Newton-Schulz, products and memories of rows have no meaning on a bias."""
    for group in _with_vectors(system):
        parts = matrix_parts(group.block) if group.block else ()
        if parts:
            what = "memory" if isinstance(parts[0], Memory) else "op"
            yield Finding(
                message=f"`{_said(group)}` takes vectors, but the {what} `{parts[0].name}` of"
                f" `{group.block.name if group.block else ''}` works on matrices",
                hint="let it take `hidden_matrices`, and give the `rest` another optimizer",
                span=group.span,
            )


@system_rule("NG344")
def inputs_are_asked_of_linear_maps(system: System) -> Iterator[Finding]:
    """Only a linear map is fed rows that a memory of its weights can be keyed by."""
    without = {*map(id, _with_vectors(system))}
    for group in system.optimizer or ():
        asks = group.block is not None and "input" in group.block.inputs
        if asks and (id(group) in without or group.kind in ("matrices", "embeddings")):
            yield Finding(
                message=f"`{_said(group)}` takes parameters that are no linear maps, but"
                f" `{group.block.name if group.block else ''}` asks for their `input`",
                hint="let it take `linear_maps`, and give the `rest` another optimizer",
                span=group.span,
            )


def _with_vectors(system: System) -> Iterator[Group]:
    """Groups that are sure to be given vectors where a model has any."""
    for group in system.optimizer or ():
        if group.kind in ("vectors", "all", "rest"):
            yield group
        if group.kind in ("vectors", "all", "rest"):
            return  # nothing is left of the vectors


def _said(group: Group) -> str:
    return f"for: {group.names or group.kind}"


@node_rule("NG349")
def an_optimizer_has_nothing_to_learn(scope: Scope, node: Node) -> Iterator[Finding]:
    """Nobody trains the parameters of an optimizer."""
    learned = node.op in LEARNED_OPS or node.fields.get("weights") == "learned"
    if not scope.in_model and learned:
        yield Finding(
            message=f"`{node.op}` learns, and nobody trains what an optimizer learns",
            hint="use an op without parameters, or a memory",
            span=node.spans.get("op") or node.span,
        )


@block_rule("NG349")
def memories_of_an_optimizer_start_somewhere(scope: Scope) -> Iterator[Finding]:
    """`learned`, the default, is for models."""
    for memory in scope.block.memories.values() if not scope.in_model else ():
        if memory.init.kind == "learned":
            yield Finding(
                message=f"`{scope.label(memory.name)}` starts `learned`, and nobody trains that",
                hint="write `init: zero`, `identity` or `fixed`",
                span=spot(memory, "init"),
            )


@block_rule("NG231")
def flows_of_an_optimizer_fit(scope: Scope) -> Iterator[Finding]:
    """Rows and channels of a parameter, whatever its size."""
    for part, field, message in misfits(scope.block) if not scope.in_model else ():
        span = spot(part, field) if isinstance(part, Memory) else part.spans.get(field) or part.span
        yield Finding(
            message=message,
            hint="flows have the shape of the parameter, rows by channels, unless an op changes it",
            span=span,
        )
