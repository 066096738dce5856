"""What trains a model, opened: groups that hand over to another spec are those of that spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nestgraph.language.system import Clock, Group, System


def opened(optimizer: System) -> System:
    """Return a system with the groups of every optimizer that it names, in the order of `rules`."""
    if optimizer.optimizer is None:
        return optimizer
    clocks = dict(optimizer.clocks)
    groups = tuple(_groups(optimizer, clocks))
    return replace(optimizer, optimizer=groups, clocks=clocks)


def trainer_of(system: System) -> System | None:
    """Return what trains a model, opened; None for an optimizer, and where no file was read."""
    trainer = system.training.system
    return None if system.model is None or trainer is None else opened(trainer)


def optimizers_of(system: System) -> Iterator[System]:
    """Yield a system's optimizer, or itself where it is one, and all that their groups name."""
    optimizer = system if system.model is None else system.training.system
    if optimizer is None:
        return
    yield optimizer
    for group in optimizer.optimizer or ():
        if group.system is not None:
            yield from optimizers_of(group.system)


def _groups(optimizer: System, clocks: dict[str, Clock]) -> Iterator[Group]:
    for group in optimizer.optimizer or ():
        if group.system is None:
            yield group
            continue
        clocks |= group.system.clocks
        for inner in _groups(group.system, clocks):
            yield replace(inner, kind=_both(group, inner), names=None)


def _both(outer: Group, inner: Group) -> str:
    """Return which parameters a group holds of those that another one leaves to it."""
    texts = [one.kind if one.names is None else f"{one.kind} {one.names}" for one in (outer, inner)]
    if inner.kind in ("all", "rest"):
        return texts[0]
    return texts[1] if outer.kind == "all" else f"{texts[1]} of {texts[0]}"
