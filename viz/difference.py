"""What differs between two systems as one outline: the new one, with what is gone put back in.

Boxes are the same if they stand for the same node of layers that are paired; they have changed
if anything that they say has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import SequenceMatcher

from nestgraph.graph import build_graph
from nestgraph.parameters import parameter_table
from nestgraph.rolling import roll_up
from nestgraph.system import System
from nestgraph.viz.block import block_outline
from nestgraph.viz.outline import Link, Outline, Part
from nestgraph.viz.view import Facts

_GONE = "removed "  # before the ids of what is put back in


def difference(old: System, new: System) -> Outline:
    """The flows of both systems; parts and links say whether they were added, removed, changed."""
    return _Difference(old, new).outline()


class _Difference:
    def __init__(self, old: System, new: System) -> None:
        self.totals = tuple(
            sum(one.size for one in parameter_table(system)) for system in (old, new)
        )
        self.old = block_outline(build_graph(old, roll=True), old)
        self.new = block_outline(build_graph(new, roll=True), new)
        self.known = {part.id for part in self.new.all()}
        layers = _layers(old, new)
        self.names = {part.id: _renamed(part.id, layers) for part in self.old.all()}
        self.before = {self.names[part.id]: part for part in self.old.all()}

    def outline(self) -> Outline:
        """Both outlines in one."""
        kept = tuple(map(self._marked, self.new.parts))
        gone = tuple(self._gone(self.old.parts))
        return Outline(
            name=f"{self.old.name} -> {self.new.name}",
            doc=" ".join(self._told(*kept, *gone)),
            parts=(*kept, *gone),
            links=tuple(self._links()),
        )

    def _told(self, *parts: Part) -> Iterator[str]:
        """How much differs, in words."""
        every = [one for part in parts for one in part.all()]
        for status in ("added", "removed", "changed"):
            count = sum(one.status == status for one in every)
            if count:
                yield f"{count} {status}."
        old, new = self.totals
        if old != new:
            yield f"Parameters: {old:,} -> {new:,}."

    def _marked(self, part: Part) -> Part:
        """A part of the new outline, with what is gone from inside it."""
        inner = tuple(map(self._marked, part.parts))
        before = self.before.get(part.id)
        if before is None:
            return replace(part, parts=inner, status="added")
        inner += tuple(self._gone(before.parts)) if part.parts else ()
        told = _told(part) != _told(before)
        if not told:
            return replace(part, parts=inner, tone="same")
        return replace(
            part,
            parts=inner,
            title=_turned(before.title, part.title),
            badge=_turned(before.badge, part.badge),
            facts=tuple(_facts(before.facts, part.facts)),
            status="changed",
        )

    def _gone(self, parts: tuple[Part, ...]) -> Iterator[Part]:
        for part in parts:
            if self.names[part.id] not in self.known:
                inner = tuple(self._gone(part.parts))
                yield replace(part, id=_GONE + part.id, parts=inner, members=(), status="removed")

    def _links(self) -> Iterator[Link]:
        old = {self._moved(link): link for link in self.old.links}
        new = {_plain(link): link for link in self.new.links}
        for key, link in new.items():
            yield link if key in old else replace(link, status="added")
        shown = {part.id for part in self.new.all() if not part.parts}
        for key, link in old.items():
            if key not in new:
                source, target = (self._end(name) for name in (link.source, link.target))
                cell = link.cell if target not in shown or self._has(target, link.cell) else ""
                yield replace(link, source=source, target=target, cell=cell, status="removed")

    def _has(self, name: str, cell: str) -> bool:
        part = next(part for part in self.new.all() if part.id == name)
        return any(one.key == cell for one in part.cells)

    def _end(self, name: str) -> str:
        new = self.names[name]
        return new if new in self.known else _GONE + name

    def _moved(self, link: Link) -> tuple[str, str, str, str]:
        names = self.names[link.source], self.names[link.target]
        return *names, link.kind, link.cell


def _plain(link: Link) -> tuple[str, str, str, str]:
    return link.source, link.target, link.kind, link.cell


def _layers(old: System, new: System) -> Mapping[str, str]:
    """The layer of the new stack that each of the old one became: in order, by name."""
    before, after = (
        [rolled.layer for rolled in roll_up(system.model.layers)] if system.model else []
        for system in (old, new)
    )
    names = [[layer.block.name for layer in stack] for stack in (before, after)]
    matcher = SequenceMatcher(a=names[0], b=names[1], autojunk=False)
    return {
        before[match.a + at].path: after[match.b + at].path
        for match in matcher.get_matching_blocks()
        for at in range(match.size)
    }


def _renamed(name: str, layers: Mapping[str, str]) -> str:
    """The id in the new graph; a name that nothing has where the layer is gone."""
    layer, slash, rest = name.partition("/")
    if not slash and layer not in layers:
        return name
    return f"{layers.get(layer, _GONE + layer)}{slash}{rest}"


def _told(part: Part) -> tuple[object, ...]:
    cells = tuple((cell.key, cell.lines) for cell in part.cells)
    return part.title, part.badge, part.facts, cells


def _turned(old: str, new: str) -> str:
    return new if old == new else f"{old} -> {new}".strip()


def _facts(old: Facts, new: Facts) -> Iterator[tuple[str, str]]:
    """Facts with a key side by side, lines without one below each other."""
    if any(key for key, _ in (*old, *new)):
        before, after = dict(old), dict(new)
        for key in dict.fromkeys((*after, *before)):
            was, now = before.get(key, "none"), after.get(key, "none")
            yield key, was
            if now != was:
                yield "", f"-> {now}"
        return
    yield from (("", line if ("", line) in old else f"+ {line}") for _, line in new)
    yield from (("", f"- {line}") for _, line in old if ("", line) not in new)
