"""Task memories on token clocks: what may be said of them, and the horizon of their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from nestgraph.analysis.online_memories import online_memories
from nestgraph.checks.registry import Finding, Scope, memory_rule, system_rule
from nestgraph.language.system import Memory, System
from nestgraph.shapes.flows import coefficients, spot


@system_rule("NG350")
def a_horizon_fits_the_levels(system: System) -> Iterator[Finding]:
    """Yield periods for which gradients are cut where every online memory's period can be put
    together from whole pieces.
    """
    model = system.model
    if model is None or model.horizon is None or model.horizon.unit == "never":
        return
    cut, span = model.horizon, model.spans.get("horizon") or model.span
    fast = [memory for _, memory in online_memories(model)]
    if cut.unit != "tokens":
        message = f"`horizon: {cut.name}` counts {cut.unit}; a model runs on tokens"
        yield Finding(message=message, hint="choose a level that counts tokens", span=span)
        return
    if not fast:
        message = "`horizon` has no meaning here: no memory has `objective: task` on tokens"
        yield Finding(message=message, hint="delete `horizon`", span=span)
    periods = {clock.period for memory in fast for clock in (memory.level, memory.reset)}
    for period in sorted(period for period in periods if period % cut.period):
        yield Finding(
            message=f"`horizon: {cut.name}` cuts gradients every {cut.period} tokens, but a task "
            f"memory moves or restarts every {period}: that isn't whole horizons",
            hint=f"choose a level that divides {period}",
            span=span,
        )
    full = next((memory for memory in fast if memory.gradient == "full"), None)
    if full is not None:
        yield Finding(
            message=f"`{full.name}` has `gradient: full`, which differentiates whole periods; "
            f"a horizon of {cut.period} tokens cuts them",
            hint="choose `gradient: first_order` or `none`, or delete `horizon`",
            span=span,
        )


@system_rule("NG351")
def full_gradients_need_nested_levels(system: System) -> Iterator[Finding]:
    """Check that levels nest: else every step is differentiated through steps of other levels
    without end.
    """
    fast = [m for _, m in online_memories(system.model)] if system.model else []
    periods = sorted({memory.level.period for memory in fast} - {0})
    full = next((memory for memory in fast if memory.gradient == "full"), None)
    if full is None or not any(b % a for a, b in pairwise(periods)):
        return
    listed = ", ".join(map(str, periods))
    yield Finding(
        message=f"`gradient: full` differentiates steps through the steps inside their period, but "
        f"levels of {listed} tokens aren't nested: there is no end to it",
        hint="let each period be a multiple of the next shorter one, or choose `first_order`",
        span=spot(full, "gradient"),
    )


@memory_rule("NG351")
def a_fast_memory_restarts_when_it_moves(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Yield nested levels: a slower tick is one of the faster ones too."""
    if not scope.in_model or not memory.is_online:
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
    if source is not None and not source.is_online:
        yield Finding(
            message=f"`{name}` learns from the task, and can't start as "
            f"`{scope.label(source.name)}`, which does not",
            hint="let it start as a memory with `objective: task` on tokens",
            span=memory.init.span or spot(memory, "init"),
        )


@memory_rule("NG352")
def a_fast_memory_has_one_event_a_tick(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report what only makes sense for keys and values, or for states between ticks."""
    if not scope.in_model or not memory.is_online:
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
    if rule.erase.key is not None and memory.net.kind == "linear":  # of others NG322 says it
        yield Finding(
            message=f"`erase.key` has no meaning on `{scope.label(memory.name)}`: a task memory "
            "erases under what it was asked",
            hint="write `erase: key`",
            span=rule.erase.span or spot(memory, "rule.erase"),
        )
    for field, coefficient in coefficients(memory):
        if coefficient.per != "head" and memory.net.kind == "linear":  # of others NG322 says it
            yield Finding(
                message=f"`per: {coefficient.per}` has no meaning on a task memory",
                hint="give one rate a head",
                span=coefficient.span or spot(memory, field),
            )
