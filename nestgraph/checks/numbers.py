"""Numbers that have no meaning, and numbers that blow up."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule, system_rule
from nestgraph.language.system import Coefficient, Memory, System
from nestgraph.shapes.flows import coefficients, spot


@memory_rule("NG334")
def rates_are_not_negative(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Warn of a negative rate, which climbs, and a negative retention, which flips the state at
    every event.
    """
    for field, coefficient in coefficients(memory):
        short = field.partition(".")[2]
        for value in written_numbers(coefficient):
            if value < 0:
                yield Finding(
                    message=f"`{short}` (={value:g}) must be at least 0",
                    hint="write 0 or more",
                    span=coefficient.span or spot(memory, field),
                )


@system_rule("NG104")
def the_learning_rate_ends_no_higher_than_it_starts(system: System) -> Iterator[Finding]:
    """Check that a cosine from `lr` to `min_lr` doesn't climb."""
    training = system.training
    if training.min_lr > training.lr:
        yield Finding(
            message=f"`min_lr` is {training.min_lr:g}, more than `lr`, which is {training.lr:g}",
            hint="`min_lr` is where the learning rate ends",
            span=training.spans.get("min_lr"),
        )


@memory_rule("NG406", severity="warning")
def constants_do_not_grow_without_bound(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report a constant retention above 1 and a momentum from 1 on, which grow for ever."""
    rule = memory.rule
    for field, coefficient, bound in (
        ("retain", rule.retain, math.nextafter(1, 2)),
        ("momentum", rule.momentum, 1.0),
    ):
        for value in written_numbers(coefficient):
            if value >= bound:
                yield Finding(
                    message=f"`{field}` (={value:g}) lets `{scope.label(memory.name)}` grow "
                    "without bound over a long text",
                    hint=f"keep `{field}` below 1" if field == "momentum" else "keep it within 1",
                    span=coefficient.span or spot(memory, f"rule.{field}"),
                )


def written_numbers(coefficient: Coefficient) -> tuple[float, ...]:
    """Return the constants of a coefficient; none where it is a flow."""
    if coefficient.number is not None:
        return (coefficient.number,)
    return coefficient.numbers or ()
