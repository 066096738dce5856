"""Which layer of one stack stands for which of another, so that the two can be compared.

A layer that is put in or taken out moves all that follow. So layers are paired in order and by
the names of their blocks, and where blocks have different names by what is in them: what both
hold under one name counts wholly where it says the same and by half where it does not, out of
all names of the two. The most alike are paired first, each once and never crosswise; those below
`_ALIKE` are strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeAlias

from nestgraph.analysis.run_length import Rolled, roll_up
from nestgraph.display.fields import Part, fields, kind
from nestgraph.language.system import FlatBlock, Layer, System

_ALIKE = 0.34  # the same continuum of MLPs under another mixer makes Hope and its kin 0.39

Said: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
Contents: TypeAlias = Mapping[str, Said]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A layer of the old stack and what it became in the new one; None where there is none."""

    old: Rolled | None
    new: Rolled | None


def pairs(old: System, new: System) -> tuple[Pair, ...]:
    """Return the layers of two systems, or the groups of two optimizers, in the order of the new
    one.
    """
    return tuple(_paired(_stack(old), _stack(new)))


def _stack(system: System) -> Sequence[Rolled]:
    if system.model is not None:
        return roll_up(system.model.layers)
    groups = enumerate(system.optimizer or ())
    return [
        Rolled(layer=Layer(path=f"{index}.{group.block.name}", block=group.block))
        for index, group in groups
        if group.block is not None
    ]


def _paired(old: Sequence[Rolled], new: Sequence[Rolled]) -> list[Pair]:
    before, after = ([rolled.layer.block.name for rolled in stack] for stack in (old, new))
    found: list[Pair] = []
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        gone, come = old[i1:i2], new[j1:j2]
        if tag == "equal":
            found += [Pair(old=a, new=b) for a, b in zip(gone, come, strict=True)]
        else:
            found += _renamed(gone, come)
    return found


def _renamed(old: Sequence[Rolled], new: Sequence[Rolled]) -> list[Pair]:
    """Return layers without a namesake, in the new order; what is gone stands in its place."""
    found: list[Pair] = []
    twins = _twins(old, new)
    told = 0  # of the old layers
    for at, layer in enumerate(new):
        twin = twins.get(at)
        if twin is not None:
            found += [Pair(old=gone, new=None) for gone in old[told:twin]]
            told = twin + 1
        found.append(Pair(old=None if twin is None else old[twin], new=layer))
    return [*found, *(Pair(old=gone, new=None) for gone in old[told:])]


def _twins(old: Sequence[Rolled], new: Sequence[Rolled]) -> dict[int, int]:
    """Return the place in the old stack of each new layer that has a twin there, the most alike
    first.
    """
    before, after = ([_contents(one.layer.block) for one in stack] for stack in (old, new))
    scores = sorted(
        (-_share(was, now), i, j) for i, was in enumerate(before) for j, now in enumerate(after)
    )
    found: dict[int, int] = {}
    for score, i, j in scores:
        if -score >= _ALIKE and all((i - k) * (j - at) > 0 for at, k in found.items()):
            found[j] = i
    return found


def said(part: Part) -> Said:
    """Return what a part is, and its values by their names."""
    return kind(part), tuple((field.name, field.value) for field in fields(part))


def _contents(block: FlatBlock) -> Contents:
    """Return what each memory and node of a block says, by its name."""
    return {name: said(part) for name, part in block.parts.items()}


def _share(old: Contents, new: Contents) -> float:
    """Return how much of two blocks is alike, from 0 to 1."""
    both = old.keys() & new.keys()
    same = sum(old[name] == new[name] for name in both)
    return (same + len(both)) / 2 / max(1, len(old.keys() | new.keys()))
