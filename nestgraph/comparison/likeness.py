"""Which parts of two blocks are defined alike, whatever they are called.

Parts are told apart by what they say, with the name of each other part replaced by the number of
its kind; a kind that falls apart lets others fall apart that name it. When one does, the most
keep its number, so that only those are read again that name the few others (Hopcroft, 1971).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from nestgraph.comparison.align_layers import Said, said
from nestgraph.display.fields import Part, kind
from nestgraph.elaborate.flatten import renamed_memory, renamed_node
from nestgraph.language.system import Memory

Names: TypeAlias = Mapping[str, str]
_Key: TypeAlias = tuple[int, str]  # a side, and the name of a part there


def kinds(gone: Sequence[Part], come: Sequence[Part]) -> tuple[Names, Names]:
    """Return a number for each part, equal for parts of either side that are defined alike."""
    found = _Kinds((gone, come))
    found.settle()
    old, new = found.names
    return old, new


def renamed(part: Part, names: Names) -> Part:
    """Return a part with other names for itself and for those that it names."""

    def flow(name: str) -> str:
        return names.get(name, name)

    def own(name: str) -> str:
        """Return the own name of a memory, or of what owns parameters: `q.then1` goes with `q`."""
        head, dot, tail = name.rpartition(".")
        return names[name] if name in names else f"{own(head)}.{tail}" if dot else name

    if isinstance(part, Memory):
        return renamed_memory(part, flow, own)
    return renamed_node(part, flow, own, flow(part.name))


class _Noting(dict[str, str]):
    """Names that note which of them were asked for."""

    def __init__(self, names: Names) -> None:
        super().__init__(names)
        self.asked: set[str] = set()

    def __contains__(self, name: object) -> bool:
        known = super().__contains__(name)
        if known:
            self.asked.add(str(name))
        return known

    def get(self, name: str, default: str) -> str:  # type: ignore[override]
        return str(super().get(name, default)) if name in self else default


class _Kinds:
    """The parts of two sides, by number."""

    def __init__(self, sides: Sequence[Sequence[Part]]) -> None:
        self.parts = {(at, part.name): part for at, parts in enumerate(sides) for part in parts}
        numbers: dict[str, str] = {}
        self.names: tuple[dict[str, str], ...] = tuple({} for _ in sides)
        for (at, name), part in self.parts.items():
            self.names[at][name] = numbers.setdefault(kind(part), f"#{len(numbers)}")
        self.sizes = dict.fromkeys(numbers.values(), 0)
        for at, name in self.parts:
            self.sizes[self.names[at][name]] += 1
        self.words: dict[str, Said] = {}  # what all parts of a kind say
        self.users = self._users()

    def _users(self) -> dict[_Key, list[_Key]]:
        """Return, for each part, those that name it."""
        found: dict[_Key, list[_Key]] = {key: [] for key in self.parts}
        noting = [_Noting(names) for names in self.names]
        for (at, name), part in self.parts.items():
            noting[at].asked.clear()
            renamed(part, noting[at])
            for other in noting[at].asked:
                found[at, other].append((at, name))
        return found

    def settle(self) -> None:
        """Renumber parts until those of one kind all say the same."""
        todo: Iterable[_Key] = self.parts
        while todo:
            groups: dict[str, dict[Said, list[_Key]]] = {}
            for at, name in todo:
                words = said(renamed(self.parts[at, name], self.names[at]))
                groups.setdefault(self.names[at][name], {}).setdefault(words, []).append((at, name))
            moved = [key for number, by in groups.items() for key in self._split(number, by)]
            todo = dict.fromkeys(user for key in moved for user in self.users[key])

    def _split(self, number: str, groups: Mapping[Said, list[_Key]]) -> list[_Key]:
        """Return parts of a kind that no longer say what its others do, under numbers of their
        own.
        """
        if sum(map(len, groups.values())) == self.sizes[number]:
            self.words[number] = max(groups, key=lambda words: len(groups[words]))
        moved: list[_Key] = []
        for words, keys in groups.items():
            if words == self.words[number]:
                continue
            new = f"#{len(self.sizes)}"
            self.sizes[new], self.words[new] = len(keys), words
            self.sizes[number] -= len(keys)
            for at, name in keys:
                self.names[at][name] = new
            moved += keys
        return moved
