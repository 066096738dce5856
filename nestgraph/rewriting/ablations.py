"""Ablations: a spec with all its parts but one, as in table 6 of arXiv 2512.24695.

Each looks at what memories say, not at names, so that it fits any spec that has the part, and is
refused for one that hasn't.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec
from nestgraph.language.system import Memory
from nestgraph.rewriting.blocks import Change, Place, rewritten
from nestgraph.rewriting.document import Values
from nestgraph.rewriting.roles import Role, makers
from nestgraph.rewriting.static import as_maps

Rewrite = Callable[[Values, Memory], Values | None]  # of a memory; None: it lacks the part


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """One part to leave out.

    Attributes:
        doc: what is left out, as one clause.
        part: what a spec must have for that.
        change: leaves it out of a block; gives the block as it is where it lacks the part.
    """

    doc: str
    part: str
    change: Change


def ablated(spec: Spec, name: str) -> Spec:
    """Return the spec without one of its parts; what only that part needed goes too.

    Args:
        spec: a model.
        name: one of `ABLATIONS`.

    Raises:
        InputError: NG955, for an optimizer, or when the spec lacks the part.
    """
    ablation = ABLATIONS[name]
    changed: list[bool] = []

    def change(block: Values, place: Place) -> Values:
        new = ablation.change(block, place)
        changed.append(new != block)
        return new

    made = rewritten(spec, change, suffix=f"without-{name}", doc=ablation.doc, prune=True)
    if not any(changed):
        message = f"`{spec.system.name}` has no {ablation.part}, so it is without `{name}` already"
        raise InputError("NG955", message, "compare it as it stands")
    return made


def _each_memory(rewrite: Rewrite) -> Change:
    """Change the memories that have a part."""

    def change(block: Values, place: Place) -> Values:
        new = {
            name: rewrite(memory, place.memory(name)) or memory
            for name, memory in block.get("memories", {}).items()
        }
        return {**block, "memories": new} if new else block

    return change


def _each_rule(has: Callable[[Memory], bool], *fields: str) -> Change:
    """Leave fields of rules at their defaults, where memories that learn in context use them."""

    def rewrite(memory: Values, known: Memory) -> Values | None:
        if known.is_step_group or known.net.kind == "attention" or not has(known):
            return None
        rule = {field: x for field, x in memory["rule"].items() if field not in fields}
        return {**memory, "rule": rule}

    return _each_memory(rewrite)


def _erases(memory: Memory) -> bool:
    return memory.rule.erase.where != "none" or memory.rule.erase.key is not None


def _without_dgd(block: Values, place: Place) -> Values:
    """Return plain gradient descent; a rate that `implicit` bounds stays bounded where that has a
    meaning.

    With `objective: dot`, `implicit` is about the erase alone.
    """
    dot = _each_rule(lambda one: _erases(one) and one.objective.kind == "dot", "erase", "implicit")
    others = _each_rule(lambda one: _erases(one) and one.objective.kind != "dot", "erase")
    return others(dot(block, place), place)


def _without_cms(block: Values, place: Place) -> Values:
    """Return one clock: what learns from the model's own loss moves with every step of training."""
    names = block.get("memories", {})
    fast = [name for name in names if place.memory(name).is_online]
    on_steps = _each_memory(
        lambda memory, known: {**memory, "level": "step"} if _on_slow_steps(known) else None
    )
    return as_maps(on_steps(block, place), place, fast) if fast else on_steps(block, place)


def _on_slow_steps(memory: Memory) -> bool:
    return memory.is_step_group and memory.level.period > 1


def _on_slowest_level(role: Role) -> Change:
    """Return makers of keys, values or questions that are maps, which only training moves."""

    def change(block: Values, place: Place) -> Values:
        made = makers(place.block, role)
        own = [name for name in block.get("memories", {}) if f"{place.prefix}{name}" in made]
        return as_maps(block, place, own) if own else block

    return change


def _inner(role: Role) -> Ablation:
    return Ablation(
        doc=f"memories that make {role.many} are learned maps",
        part=f"memory that only makes {role.many}",
        change=_on_slowest_level(role),
    )


ABLATIONS: Mapping[str, Ablation] = {
    "dgd": Ablation(
        doc="memories erase nothing before they write, which is plain gradient descent",
        part="memory that erases before it writes",
        change=_without_dgd,
    ),
    "momentum": Ablation(
        doc="memories learn without momentum",
        part="memory with momentum",
        change=_each_rule(lambda one: one.rule.momentum.number != 0, "momentum"),
    ),
    "retention": Ablation(
        doc="memories keep all that they hold, without weight decay",
        part="memory that forgets",
        change=_each_rule(lambda one: one.rule.retain.number != 1, "retain", "retain_first"),
    ),
    "cms": Ablation(
        doc="what learns from the model's own loss moves with every step of training",
        part="memory on a slower clock than the optimizer's",
        change=_without_cms,
    ),
    "inner-k": _inner(Role.KEY),
    "inner-v": _inner(Role.VALUE),
    "inner-q": _inner(Role.QUERY),
}
"""By their names on the command line."""
