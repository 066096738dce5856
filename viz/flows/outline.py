"""What the writers of text, Mermaid and block pictures read: parts in parts, and links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nestgraph.viz.flows.view import Cell, Facts

RUN = "run"
"""The kind of a frame around layers that repeat as a whole; it is no block, so no depth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A box, or a frame where it holds other parts.

    Attributes:
        id: a node of the graph, a memory, a block at its place or a level.
        kind: `op`, `read`, `write`, `memory`, `block`, `level`, `closed`, ...
        badge: stands at the right of the title: `×4`, a width.
        facts: lines of text, with or without a key before them.
        cells: named inputs.
        tone: names its paints.
        members: the nodes of the graph that it stands for, beside its own.
    """

    id: str
    kind: str
    title: str
    badge: str = ""
    facts: Facts = ()
    cells: tuple[Cell, ...] = ()
    tone: str = "block"
    parts: tuple[Part, ...] = ()
    members: tuple[str, ...] = ()
    status: str = ""

    def told(self, cell: str) -> str:
        """Return what an input says: `keys k`; its key where it says nothing."""
        return next((one.lines[0] for one in self.cells if one.key == cell), cell)

    def all(self) -> Iterator[Part]:
        """Yield this part and those in it."""
        yield self
        for part in self.parts:
            yield from part.all()


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """An edge between parts; `cell` is the input where it ends."""

    source: str
    target: str
    kind: str
    cell: str = ""
    label: str = ""
    status: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A whole picture without places.

    Attributes:
        name: of what it shows.
        doc: stands below the name, in two lines at most.
        parts: boxes and frames.
        links: between them.
        rising: whether flows go up in it, not down.
        notes: lines below the doc.
    """

    name: str
    doc: str
    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    rising: bool = False
    notes: tuple[str, ...] = ()

    def all(self) -> Iterator[Part]:
        """Yield every part, each before those in it."""
        for part in self.parts:
            yield from part.all()


def closed(outline: Outline, depth: int) -> Outline:
    """Return the outline with frames that lie `depth` deep or deeper shut."""
    homes: dict[str, str] = {}

    def shut(part: Part, at: int) -> Part:
        if not part.parts:
            return part
        if at < depth or part.kind == RUN:
            below = at if part.kind == RUN else at + 1
            return replace(part, parts=tuple(shut(inner, below) for inner in part.parts))
        inside = [inner for inner in part.all() if inner is not part]
        homes.update((inner.id, part.id) for inner in inside)
        return replace(part, kind="closed", parts=(), facts=tuple(_summary(inside)))

    parts = tuple(shut(part, 0) for part in outline.parts)
    links = (
        replace(
            link,
            source=homes.get(link.source, link.source),
            target=homes.get(link.target, link.target),
            cell="" if link.target in homes else link.cell,
            label="" if link.target in homes else link.label,
        )
        for link in outline.links
    )
    outer = dict.fromkeys(link for link in links if link.source != link.target)
    return replace(outline, parts=parts, links=tuple(outer))


def _summary(inside: list[Part]) -> Iterator[tuple[str, str]]:
    for kind, one, many in (
        ("block", "block", "blocks"),
        ("write", "memory", "memories"),
        ("op", "op", "ops"),
    ):
        found = [part for part in inside if part.kind == kind]
        # Memories may share a box; the members of an op are the links of its chain.
        count = len(found) + sum(len(part.members) for part in found if kind == "write")
        if count:
            yield "", f"{count} {one if count == 1 else many}"


def near(outline: Outline, focus: str) -> Outline:
    """Return what is left of an outline around one part: its neighbours, and the frames around
    them.
    """
    whole = next(part for part in outline.all() if part.id == focus)
    own = {part.id for part in whole.all()}
    beside = {link.target for link in outline.links if link.source in own}
    beside |= {link.source for link in outline.links if link.target in own}

    def kept(part: Part) -> Part | None:
        if part.id == focus or (part.id in beside and not part.parts):
            return part
        inner = tuple(found for held in part.parts if (found := kept(held)) is not None)
        return replace(part, parts=inner) if inner else None

    parts = tuple(found for part in outline.parts if (found := kept(part)) is not None)
    shown = {part.id for part in replace(outline, parts=parts).all()}
    links = tuple(
        link
        for link in outline.links
        if {link.source, link.target} <= shown and not own.isdisjoint((link.source, link.target))
    )
    return replace(outline, parts=parts, links=links)
