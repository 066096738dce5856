"""What differs between two systems as one outline: the new one, with what is gone put back in.

What changed is what `nestgraph.comparison.compare` says; which layers stand for each other is
`nestgraph.comparison.align_layers`'s word. Where the optimizers differ, they are drawn below the
models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nestgraph.analysis.levels import instances
from nestgraph.comparison.align_layers import pairs
from nestgraph.comparison.changes import SIGNS, Change, Diff, cost_lines
from nestgraph.comparison.compare import compare
from nestgraph.comparison.renames import under_names_of
from nestgraph.language.system import System
from nestgraph.language.trainer import opened, trainer_of
from nestgraph.viz.flows.outline import RUN, Link, Outline, Part
from nestgraph.viz.flows.training_outline import trained_name
from nestgraph.viz.flows.view import Facts
from nestgraph.viz.flows.views import Wish, outline_of
from nestgraph.viz.scene.boxes import OPTIMIZER

GONE = "removed "
"""Before the ids of what is put back in."""

_MARKS = ("-> ", "+ ", "- ")  # before the lines of a box that differ


def difference(old: System, new: System) -> Outline:
    """Return the flows of both systems; parts and links say whether they were added, removed,
    changed.
    """
    return Difference(old, new).outline()


class Difference:
    """Two systems on their way into one picture.

    Attributes:
        diff: all that differs.
        changes: values that differ, by the id of a node in the new picture.
    """

    def __init__(self, old: System, new: System) -> None:
        self.diff = compare(old, new)
        both = self.diff.optimizer is not None
        wish = Wish(view="system" if both else "block")
        old = under_names_of(old, new)
        self.old, self.new = outline_of(old, wish), outline_of(new, wish)
        self.known = {part.id for part in self.new.all()}
        layers = _layers(opened(old), opened(new))
        before, after = trainer_of(old), trainer_of(new)
        if before is not None and after is not None:
            inner = _layers(before, after)
            layers |= {
                trained_name(path): None if became is None else trained_name(became)
                for path, became in inner.items()
            }
        self.names = {part.id: _renamed(part.id, layers) for part in self.old.all()}
        self.before = {self.names[part.id]: part for part in self.old.all()}
        self.changes = dict(_changes(self.diff))

    def outline(self) -> Outline:
        """Return both outlines in one."""
        kept = tuple(map(self._marked, self.new.parts))
        gone = tuple(self._gone(self.old.parts))
        parts = (*_settings(self.diff), *kept, *gone)
        return Outline(
            name=f"{self.old.name} -> {self.new.name}",
            doc=_counts(parts),
            notes=tuple(cost_lines(self.diff)),
            parts=parts,
            links=tuple(self._links()),
        )

    def _marked(self, part: Part) -> Part:
        """Return a part of the new outline, with what is gone from inside it."""
        inner = tuple(map(self._marked, part.parts))
        before = self.before.get(part.id)
        if before is None:
            return replace(part, parts=inner, status="added")
        inner += tuple(self._gone(before.parts)) if part.parts else ()
        values = [one for name in (part.id, *part.members) for one in self.changes.get(name, ())]
        if not values and _told(part) == _told(before):
            return replace(part, parts=inner, tone="same")
        return replace(
            part,
            parts=inner,
            title=_turned(before.title, part.title),
            badge=_turned(before.badge, part.badge),
            facts=_facts(before, part, values),
            status="changed",
        )

    def _gone(self, parts: tuple[Part, ...]) -> Iterator[Part]:
        for part in parts:
            if self.names[part.id] not in self.known:
                inner = tuple(self._gone(part.parts))
                if part.kind == RUN and not inner:  # its layers are here, only not in this run
                    continue
                yield replace(part, id=GONE + part.id, parts=inner, members=(), status="removed")

    def _links(self) -> Iterator[Link]:
        old = {self._moved(link): link for link in self.old.links}
        new = {_plain(link): link for link in self.new.links}
        for key, link in new.items():
            yield link if key in old else replace(link, status="added")
        shown = {part.id: part for part in self.new.all() if not part.parts}
        for key, link in old.items():
            if key not in new:
                source, target = (self._end(name) for name in (link.source, link.target))
                lost = target in shown and link.cell not in {c.key for c in shown[target].cells}
                cell = "" if lost else link.cell
                yield replace(link, source=source, target=target, cell=cell, status="removed")

    def _end(self, name: str) -> str:
        new = self.names[name]
        return new if new in self.known else GONE + name

    def _moved(self, link: Link) -> tuple[str, str, str, str]:
        names = self.names[link.source], self.names[link.target]
        return *names, link.kind, link.cell


def _plain(link: Link) -> tuple[str, str, str, str]:
    return link.source, link.target, link.kind, link.cell


def _layers(old: System, new: System) -> dict[str, str | None]:
    """Return the layer of the new stack that each of the old one became; None if it is gone."""
    found: dict[str, str | None] = dict.fromkeys(path for path, _ in instances(old))
    for pair in pairs(old, new):
        if pair.old is not None and pair.new is not None:
            found[pair.old.layer.path] = pair.new.layer.path
    return found


def _renamed(name: str, layers: Mapping[str, str | None]) -> str:
    """Return the id in the new picture; one that nothing has where the layer is gone."""
    ahead = f"{OPTIMIZER}/" if name.startswith(f"{OPTIMIZER}/") else ""
    layer, slash, rest = name.removeprefix(ahead).partition("/")
    layer = ahead + layer
    if layer not in layers:
        return name
    return f"{layers[layer] or GONE + layer}{slash}{rest}"


def _changes(diff: Diff) -> Iterator[tuple[str, tuple[Change, ...]]]:
    yield from ((node.new, node.attributes) for node in diff.nodes if node.old and node.new)
    if diff.optimizer is not None:
        inside = _changes(diff.optimizer)
        yield from ((trained_name(name), values) for name, values in inside)


def _settings(diff: Diff) -> Iterator[Part]:
    """Yield what differs and belongs to no box: clocks, names, and how the outermost level
    learns.
    """
    listed = (("levels", diff.levels), ("renamed", diff.renamed), ("training", diff.training))
    for name, changes in listed:
        facts = tuple(line for change in changes for line in _lines(change))
        if facts:
            yield Part(
                id=f"changed {name}", kind="setting", title=name, facts=facts, status="changed"
            )


def _lines(change: Change) -> Iterator[tuple[str, str]]:
    yield change.name, change.old or "none"
    yield "", f"-> {change.new or 'none'}"


def _counts(parts: tuple[Part, ...]) -> str:
    """Return how much differs, in words."""
    every = [one for part in parts for one in part.all()]
    counted = {status: sum(one.status == status for one in every) for status in SIGNS}
    told = ", ".join(f"{count} {status}" for status, count in counted.items() if count)
    return f"Boxes: {told}." if told else "No differences."


def _told(part: Part) -> tuple[object, ...]:
    cells = tuple((cell.key, cell.lines) for cell in part.cells)
    return part.title, part.badge, part.facts, cells


def _turned(old: str, new: str) -> str:
    return new if old == new else f"{old} -> {new}".strip()


def _facts(old: Part, new: Part, values: list[Change]) -> Facts:
    """Return what a box says, with what it said before, and the values that it has no line for."""
    said = tuple(_sides(old.facts, new.facts))
    turned = [text for _, text in said if text.startswith(_MARKS)]
    turned += [new.title] * (old.title != new.title) + [new.badge] * (old.badge != new.badge)
    more = [one for one in values if not any((one.new or one.old or "") in text for text in turned)]
    if any(key for key, _ in said):
        return (*said, *(line for one in more for line in _lines(one)))
    return (*said, *(("", f"{SIGNS[one.change]} {one}") for one in more))


def _sides(old: Facts, new: Facts) -> Iterator[tuple[str, str]]:
    """Yield facts with a key side by side, lines without one below each other."""
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
