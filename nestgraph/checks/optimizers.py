"""Optimizers: one parameter a block, a group for every parameter, and ops that only they have."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, block_rule, node_rule, system_rule
from nestgraph.system import Node, System

CATCH_ALL = ("all", "rest")
MATRICES = frozenset({"hidden_matrices", "embeddings", "head"})
ONLY_IN_OPTIMIZERS = frozenset({"newton_schulz", "debias", "identity", "pool"})


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
