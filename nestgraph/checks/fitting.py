"""The groups of an optimizer against the parameters that they take.

Of a model every parameter is known. An optimizer alone is held against what any model may have:
its kinds, of which only those that are never linear maps count against an `input`.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.fitting import HINTS, NO_GROUP, misfit, some, told
from nestgraph.analysis.parameters import parameter_table
from nestgraph.checks.registry import Finding, system_rule
from nestgraph.language.groups import Traits, choose, rules, traits_of
from nestgraph.language.system import Model, System
from nestgraph.language.trainer import optimizers_of

CATCH_ALL = ("all", "rest")
NEVER_LINEAR = ("embeddings", "vectors")
# Groups by name take nothing of these: what they take is not known without a model.
KINDS = tuple(
    Traits(name="", kind=kind, axes=1 if kind == "vectors" else 2)
    for kind in ("embeddings", "head", "hidden_matrices", "vectors")
)


@system_rule("NG341")
def every_parameter_has_a_group(system: System) -> Iterator[Finding]:
    """Report a parameter that no group matches, and that would stand still."""
    optimizer, parameters = _met(system)
    groups = optimizer.optimizer if optimizer else None
    if optimizer is None or not groups:
        return
    among = rules(optimizer)
    missing = [one for one in parameters if choose(among, one) is None]
    if missing:
        known = some([one.name for one in missing])
        what = known if system.model else ", ".join(one.sort for one in missing)
        yield Finding(
            message=f"no group matches {what}: these parameters would never move",
            hint=NO_GROUP,
            span=groups[0].span,
        )


@system_rule("NG342", severity="warning")
def every_group_can_be_reached(system: System) -> Iterator[Finding]:
    """Report groups behind one for all: the first match wins, so nothing is left for them."""
    for optimizer in optimizers_of(system):
        groups = optimizer.optimizer or ()
        kinds = [group.kind for group in groups]
        ends = [i for i, kind in enumerate(kinds) if kind in CATCH_ALL]
        for group in groups[ends[0] + 1 :] if ends else ():
            yield Finding(
                message=f"`for: {group.names or group.kind}` is never reached: "
                f"`{kinds[ends[0]]}` before it takes every parameter",
                hint=f"move it before `{kinds[ends[0]]}`",
                span=group.span,
            )


@system_rule("NG343")
def rules_for_matrices_meet_no_vectors(system: System) -> Iterator[Finding]:
    """Report Newton-Schulz, products and memories of rows on a bias, where they have no meaning."""
    yield from _misfits(system, "NG343")


@system_rule("NG344")
def inputs_are_asked_of_linear_maps(system: System) -> Iterator[Finding]:
    """Check that only a linear map is fed rows that a memory of its weights can be keyed by."""
    yield from _misfits(system, "NG344")


def _misfits(system: System, code: str) -> Iterator[Finding]:
    optimizer, parameters = _met(system)
    among = rules(optimizer) if optimizer else ()
    found: dict[int, list[str]] = {}
    for one in parameters:
        place = choose(among, one)
        if system.model is None and one.sort not in NEVER_LINEAR:
            continue
        if place is not None and misfit(among[place], one) == code:
            found.setdefault(place, []).append(one.name)
    for place, names in found.items():
        rule = among[place]
        message = told(code, rule, names if system.model else ())
        yield Finding(message=message, hint=HINTS[code], span=rule.span)


def _met(system: System) -> tuple[System | None, tuple[Traits, ...]]:
    """Return an optimizer and what it is to move; neither where something isn't known for a
    mistake.
    """
    optimizer = system if system.model is None else system.training.system
    if optimizer is None or not _is_whole(optimizer):
        return None, ()
    if system.model is None:
        return optimizer, KINDS
    if not _has_widths(system.model):
        return None, ()
    trained = (spec for spec in parameter_table(system) if spec.trained)
    return optimizer, tuple(map(traits_of, trained))


def _is_whole(optimizer: System) -> bool:
    """Return whether the block or spec of each group was found."""
    return all(
        group.block is not None or (group.system is not None and _is_whole(group.system))
        for group in optimizer.optimizer or ()
    )


def _has_widths(model: Model) -> bool:
    return all(node.width for layer in model.layers for node in layer.block.nodes.values())
