"""Semantic rules of the language, beyond what the schema and the widths can say.

`run` reports every finding of every rule. A rule is a function registered with its code; the
modules below hold them by subject, and importing a module is what registers its rules.
"""

from __future__ import annotations

from nestgraph.checks import (
    advice,
    clocks,
    cycles,
    fitting,
    heads,
    memories,
    numbers,
    online_memories,
    optimizers,
    rules,
    starts,
    tables,
    tie_and_width_checks,
    unused,
    vectors,
)
from nestgraph.checks.registry import RULES, Finding, Rule, Scope
from nestgraph.errors import Diagnostic, in_file_order
from nestgraph.language.system import FlatBlock, System
from nestgraph.language.trainer import optimizers_of

__all__ = ["MODULES", "RULES", "Finding", "Rule", "Scope", "run"]

MODULES = (
    advice,
    clocks,
    cycles,
    online_memories,
    fitting,
    heads,
    tie_and_width_checks,
    memories,
    numbers,
    optimizers,
    rules,
    starts,
    tables,
    unused,
    vectors,
)


def run(system: System) -> tuple[Diagnostic, ...]:
    """Return everything that breaks a rule, in file order; warnings among it.

    Rules for blocks look at those of a model's optimizer, and of all that it names, as well.
    """
    scopes = tuple(Scope(owner, block) for owner, block in _blocks(system))
    return in_file_order(d for rule in RULES for d in rule(system, scopes))


def _blocks(system: System) -> tuple[tuple[System, FlatBlock], ...]:
    """Return each distinct block once, however often it is repeated, with the system that it is
    of.
    """
    found = [(system, layer.block) for layer in system.model.layers] if system.model else []
    for optimizer in optimizers_of(system):
        groups = optimizer.optimizer or ()
        found += [(optimizer, group.block) for group in groups if group.block is not None]
    return tuple({id(block): (owner, block) for owner, block in found}.values())
