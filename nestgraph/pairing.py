"""Which layer of one stack stands for which of another, so that the two can be compared.

A layer that is put in or taken out moves all that follow. So layers are paired in order and by
the names of their blocks, and where a block was renamed by what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nestgraph.rolling import Rolled, roll_up
from nestgraph.system import FlatBlock, Layer, System

_ALIKE = 0.5  # of all names of two blocks: those that both have


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A layer of the old stack and what it became in the new one; None where there is none."""

    old: Rolled | None
    new: Rolled | None


def pairs(old: System, new: System) -> tuple[Pair, ...]:
    """The layers of two systems, or the groups of two optimizers, in the order of the new one."""
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
    """Layers without a namesake, paired in order where their blocks hold much the same."""
    left = list(old)
    found: list[Pair] = []
    for layer in new:
        twin = next((o for o in left if _alike(o.layer.block, layer.layer.block)), None)
        if twin is not None:
            before = left[: left.index(twin)]
            left = left[left.index(twin) + 1 :]
            found += [Pair(old=gone, new=None) for gone in before]
        found.append(Pair(old=twin, new=layer))
    return [*found, *(Pair(old=gone, new=None) for gone in left)]


def _alike(old: FlatBlock, new: FlatBlock) -> bool:
    names = [{*block.memories, *block.nodes} for block in (old, new)]
    both, either = names[0] & names[1], names[0] | names[1]
    return len(both) >= _ALIKE * len(either)
