"""Fields of a rule or an objective that take each other's meaning away."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule
from nestgraph.language.system import Memory
from nestgraph.shapes.flows import spot


@memory_rule("NG338")
def an_erase_erases_something(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that something is erased: with `where: none` a key or a rate of its own would be
    ignored.
    """
    erase = memory.rule.erase
    fields = (("key", erase.key), ("rate", erase.rate))
    for field in (name for name, value in fields if value is not None):
        if erase.where == "none":
            yield Finding(
                message=f"`erase` has a `{field}` and `where: none`, which erases nothing",
                hint=f"write `where: key`, or delete `{field}`",
                span=erase.span or spot(memory, "rule.erase"),
            )


@memory_rule("NG322")
def an_error_turns_once_a_head(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check `delta`, which bounds the errors of a head; finer grains are for coefficients of the
    rule.
    """
    delta = memory.objective.delta
    if delta is not None and delta.per != "head":
        yield Finding(
            message=f"`delta` is one number a head, and this flow is `per: {delta.per}`",
            hint="give a number, a list with one a head, or a flow of width 1 or `heads`",
            span=delta.span or spot(memory, "objective"),
        )
