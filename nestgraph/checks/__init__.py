"""Semantic rules of the language, beyond what the schema and the widths can say.

`run` reports every finding of every rule. A rule is a function registered with its code; the
modules below hold them by subject, and importing a module is what registers its rules.
"""

from __future__ import annotations

from nestgraph.checks import (
    advice,
    clocks,
    cycles,
    joints,
    memories,
    numbers,
    optimizers,
    rules,
    starts,
    tables,
    unused,
    vectors,
)
from nestgraph.checks.registry import RULES, Finding, Rule, Scope
from nestgraph.errors import Diagnostic, in_file_order
from nestgraph.system import FlatBlock, System

__all__ = ["MODULES", "RULES", "Finding", "Rule", "Scope", "run"]

MODULES = (
    advice,
    clocks,
    cycles,
    joints,
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
    """Everything that breaks a rule, in file order; warnings among it."""
    scopes = tuple(Scope(system, block) for block in _blocks(system))
    return in_file_order(d for rule in RULES for d in rule(system, scopes))


def _blocks(system: System) -> tuple[FlatBlock, ...]:
    """Each distinct block once, however often it is repeated."""
    found = [layer.block for layer in system.model.layers] if system.model else []
    found += [group.block for group in system.optimizer or () if group.block is not None]
    return tuple({id(block): block for block in found}.values())
