"""Task memories on token clocks: what may be said of them, and the horizon of their gradients."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule, system_rule
from nestgraph.fast import fast_memories
from nestgraph.shapes.flows import coefficients, spot
from nestgraph.system import Memory, System


@system_rule("NG350")
def a_horizon_fits_the_levels(system: System) -> Iterator[Finding]:
    """Gradients are cut where every fast memory's period can be put together from whole pieces."""
    model = system.model
    if model is None or model.horizon is None or model.horizon.unit == "never":
        return
    cut, span = model.horizon, model.spans.get("horizon") or model.span
    fast = [memory for _, memory in fast_memories(model)]
    if cut.unit != "tokens":
        message = f"`horizon: {cut.name}` counts {cut.unit}; a model runs on tokens"
        yield Finding(message=message, hint="choose a level that counts tokens", span=span)
        return
    if not fast:
        message = "`horizon` has no meaning here: no memory has `objective: task` on tokens"
        yield Finding(message=message, hint="delete `horizon`", span=span)
    for period in sorted({m.level.period for m in fast if m.level.period % cut.period}):
        yield Finding(
            message=f"`horizon: {cut.name}` cuts gradients every {cut.period} tokens, but a task "
            f"memory moves every {period}: its period isn't whole horizons",
            hint=f"choose a level that divides {period}",
            span=span,
        )
    full = next((memory for memory in fast if memory.gradient == "full"), None)
    if full is not None:
        yield Finding(
            message=f"`{full.name}` says `gradient: full`, which differentiates whole periods; "
            f"a horizon of {cut.period} tokens cuts them",
            hint="choose `gradient: first_order` or `none`, or delete `horizon`",
            span=span,
        )


@memory_rule("NG351")
def a_fast_memory_restarts_when_it_moves(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Nested levels: a slower tick is one of the faster ones too."""
    if not scope.in_model or not memory.is_fast:
        return
    level, reset, name = memory.level, memory.reset, scope.label(memory.name)
    slower = reset.unit == level.unit == "tokens" and reset.period > level.period
    if slower and reset.period % level.period:
        below = reset.period // level.period * level.period
        yield Finding(
            message=f"`{name}` resets every {reset.period} tokens but commits every "
            f"{level.period}: the levels aren't nested",
            hint=f"reset it every {below} or {below + level.period} tokens",
            span=spot(memory, "reset"),
        )
    source = scope.block.memories.get(memory.init.memory or "")
    if source is not None and not source.is_fast:
        yield Finding(
            message=f"`{name}` learns from the task, and can't start as "
            f"`{scope.label(source.name)}`, which does not",
            hint="let it start as a memory with `objective: task` on tokens",
            span=memory.init.span or spot(memory, "init"),
        )


@memory_rule("NG352")
def a_fast_memory_has_one_event_a_tick(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """What only makes sense for keys and values, or for states between ticks."""
    if not scope.in_model or not memory.is_fast:
        return
    rule = memory.rule
    fields = {"retain_first": rule.retain_first, "mirror": rule.mirror != "none"}
    for field in (field for field, given in fields.items() if given):
        yield Finding(
            message=f"`{field}` has no meaning on `{scope.label(memory.name)}`: a task memory "
            "has one event a period, and nothing moves in between",
            hint=f"delete `{field}`",
            span=spot(memory, f"rule.{field}"),
        )
    for field, coefficient in coefficients(memory):
        if coefficient.per != "head" and memory.net.kind == "linear":  # of others NG322 says it
            yield Finding(
                message=f"`per: {coefficient.per}` has no meaning on a task memory",
                hint="give one rate a head",
                span=coefficient.span or spot(memory, field),
            )
