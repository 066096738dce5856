"""Which parts of a layer only go by another name, so that a comparison can pass over that.

Two parts are one if they say the same about parts that are one: of those without a namesake on
the other side, definitions are compared with every such name replaced by what it defines, until
nothing more can be told apart (`likeness.py`). Where several are defined alike, their order
decides. What else lies in an inner block whose parts moved to another one moves with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from nestgraph.comparison.align_layers import Pair, pairs
from nestgraph.comparison.changes import Change
from nestgraph.comparison.likeness import Names, kinds, renamed
from nestgraph.language.system import FlatBlock, Layer, Memory, System
from nestgraph.language.trainer import opened, trainer_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Renaming:
    """A system in the words of another one.

    Attributes:
        system: with the names that its parts have there.
        before: what those parts were called, by layer and new name.
        told: the names that differ, a line each.
    """

    system: System
    before: Mapping[str, Names]
    told: tuple[Change, ...]


def in_new_names(old: System, paired: Iterable[Pair]) -> Renaming:
    """Return an opened system with the names that its parts have in the one it is paired with."""
    found: list[tuple[FlatBlock, FlatBlock]] = []
    before: dict[str, Names] = {}
    told: list[Change] = []
    for pair in paired:
        if pair.old is None or pair.new is None:
            continue
        layer, block = pair.old.layer, pair.new.layer.block
        names = renames(layer.block, block)
        if names:
            found.append((layer.block, _under(layer.block, names)))
            before[layer.path] = {new: name for name, new in names.items()}
            told += [
                Change(name=pair.new.layer.path, old=name, new=new)
                for name, new in dict.fromkeys(map(_shortest, names.items()))
            ]
    return Renaming(system=_with_blocks(old, found), before=before, told=tuple(told))


def under_names_of(old: System, new: System) -> System:
    """Return a system, and what trains it, with the names that their parts have in another one."""
    renaming = in_new_names(opened(old), pairs(opened(old), opened(new)))
    if renaming.told:
        old = renaming.system
    before, after = trainer_of(old), trainer_of(new)
    if before is None or after is None:
        return old
    trainer = in_new_names(before, pairs(before, after))
    if not trainer.told:
        return old
    return replace(old, training=replace(old.training, system=trainer.system))


def renames(old: FlatBlock, new: FlatBlock) -> dict[str, str]:
    """Return the new name of every part of a block that has another one there."""
    before, after = old.parts, new.parts
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    if not gone or not come:
        return {}
    found = dict(_matched(*kinds([before[name] for name in gone], [after[name] for name in come])))
    moved = _regions(old, new, found)
    taken = set(found.values())
    for name in gone:
        place = next((p for p in _around(name) if p in moved), None)
        if name not in found and place is not None:
            there = f"{moved[place]}{name.removeprefix(place)}"
            if there not in taken and there not in before:
                found[name] = there
    return found


def _matched(gone: Names, come: Names) -> Iterator[tuple[str, str]]:
    """Yield names of parts with one number, where both sides have as many of them."""
    old, new = Counter(gone.values()), Counter(come.values())
    for what in old:
        if old[what] == new[what]:
            yield from zip(
                (name for name, one in gone.items() if one == what),
                (name for name, one in come.items() if one == what),
                strict=True,
            )


def _regions(old: FlatBlock, new: FlatBlock, found: Names) -> dict[str, str]:
    """Return inner blocks whose parts have moved, and where most of them are now."""
    there = {region.prefix for region in new.regions}
    here = {region.prefix for region in old.regions}
    votes = Counter(map(_shortest, found.items()))
    moved: dict[str, str] = {}
    for (before, after), _ in votes.most_common():
        if before in here - there and after in there - here and after not in moved.values():
            moved.setdefault(before, after)
    return moved


def _around(name: str) -> Iterator[str]:
    """Yield the inner blocks that a flat name may lie in, from the inside."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _shortest(names: tuple[str, str]) -> tuple[str, str]:
    """Return two names without what they end in alike: `b` and `first` of `b.u` and `first.u`."""
    old, new = (name.split(".") for name in names)
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return ".".join(old), ".".join(new)


def _under(block: FlatBlock, names: Names) -> FlatBlock:
    moved = dict(map(_shortest, names.items()))
    parts = {names.get(name, name): renamed(part, names) for name, part in block.parts.items()}
    return replace(
        block,
        memories={name: part for name, part in parts.items() if isinstance(part, Memory)},
        nodes={name: part for name, part in parts.items() if not isinstance(part, Memory)},
        output=None if block.output is None else names.get(block.output, block.output),
        regions=tuple(
            replace(region, prefix=moved.get(region.prefix, region.prefix))
            for region in block.regions
        ),
    )


def _with_blocks(system: System, found: list[tuple[FlatBlock, FlatBlock]]) -> System:
    """Return a system with some blocks, and those that equal them, replaced."""

    def now(block: FlatBlock) -> FlatBlock:
        return next((new for old, new in found if old is block or old == block), block)

    if system.model is not None:
        layers = tuple(Layer(path=one.path, block=now(one.block)) for one in system.model.layers)
        return replace(system, model=replace(system.model, layers=layers))
    groups = tuple(
        group if group.block is None else replace(group, block=now(group.block))
        for group in system.optimizer or ()
    )
    return replace(system, optimizer=groups)
