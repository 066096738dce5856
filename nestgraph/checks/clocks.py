"""Clocks: units that don't mix, resets that leave time to learn, and groups on steps."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule, node_rule
from nestgraph.checks.turned import turned_elsewhere
from nestgraph.errors import Span
from nestgraph.language.system import Clock, Memory, Node
from nestgraph.shapes.flows import spot

STEP_GROUP_FIELDS = frozenset({"net", "heads", "level", "objective", "init"})


@memory_rule("NG330")
def levels_count_what_the_block_runs_on(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Yield model blocks run on tokens, optimizers on steps; only `task` memories may mix."""
    group = scope.in_model and memory.is_step_group
    if not group and memory.net.kind != "attention":
        yield from _unit(scope, memory.level, spot(memory, "level"), memory.objective.kind)
    if not group:
        yield from _unit(scope, memory.reset, spot(memory, "reset"), "")


@node_rule("NG330")
def ops_count_what_the_block_runs_on(scope: Scope, node: Node) -> Iterator[Finding]:
    """Report what `since` and the level of a `pool` name: they are clocks too."""
    for field in ("since", "level"):
        clock = _clock(scope, node.fields.get(field))
        if clock is not None:
            yield from _unit(scope, clock, node.spans.get(field) or node.span, "")


def _clock(scope: Scope, value: object) -> Clock | None:
    if isinstance(value, str):
        return scope.system.clocks.get(value)
    return value if isinstance(value, Clock) else None


def _unit(scope: Scope, clock: Clock, span: Span | None, objective: str) -> Iterator[Finding]:
    runs_on = "tokens" if scope.in_model else "steps"
    if clock.unit in (runs_on, "never"):
        return
    hint = "choose a level that counts steps, like `step`"
    if scope.in_model:
        hint = "choose a level that counts tokens"
        hint += ", or `objective: task`" if objective else ""
    turned = turned_elsewhere(span, (clock.span,))
    where = f"the block that uses it ({span})" if turned else "this block"
    yield Finding(
        message=f"`{clock.name}` counts {clock.unit}; {where} runs on {runs_on}",
        hint=f"let it count {runs_on}" if turned else hint,
        span=turned or span,
    )


@memory_rule("NG331")
def a_reset_leaves_time_to_commit(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report a memory that restarts before its first commit: it never shows what it learnt."""
    level, reset = memory.level, memory.reset
    if memory.net.kind == "attention" or reset.unit != level.unit or reset.unit == "never":
        return
    if reset.period < level.period:
        yield Finding(
            message=f"`{scope.label(memory.name)}` resets every {reset.period} {reset.unit} "
            f"but commits every {level.period}: it would never learn",
            hint=f"reset it every {level.period} {level.unit} or more rarely",
            span=spot(memory, "reset"),
        )


@memory_rule("NG333")
def a_step_group_is_a_group_of_the_outer_optimizer(
    scope: Scope, memory: Memory
) -> Iterator[Finding]:
    """Check that only what an optimizer group has may be said of a `task` memory on steps."""
    if not (scope.in_model and memory.is_step_group):
        return
    name = scope.label(memory.name)
    causes = (spot(memory, "objective"), spot(memory, "level"), memory.level.span)
    idle = sorted(memory.written - STEP_GROUP_FIELDS)
    far = {field: turned_elsewhere(spot(memory, field), causes) for field in idle}
    for turned in dict.fromkeys(filter(None, far.values())):
        told = [f"`{field}` ({spot(memory, field)})" for field in idle if far[field] == turned]
        yield Finding(
            message=f"this makes `{name}` a group of the outer optimizer, a `task` memory on "
            f"steps, on which {', '.join(told)} mean nothing",
            hint=_taken_back(memory, turned),
            span=turned,
        )
    for field in idle:
        if far[field] is not None:
            continue
        yield Finding(
            message=f"`{field}` has no meaning on `{name}`: a `task` memory on steps is a group "
            "of the outer optimizer",
            hint=f"delete `{field}`; only net, heads, level, objective and init apply",
            span=spot(memory, field),
        )
    if memory.net.kind not in ("linear", "mlp"):
        yield Finding(
            message=f"a `task` memory on steps is `linear` or `mlp`, not `{memory.net.kind}`",
            hint="choose another net",
            span=spot(memory, "net"),
        )


def _taken_back(memory: Memory, turned: Span) -> str:
    """Return what to change at the place that made a group on steps of a memory."""
    if turned == spot(memory, "objective"):
        return "choose another objective"
    if turned == memory.level.span:
        return "let it count tokens, such as `16 tokens`"
    return "choose a level that counts tokens, such as `token`"
