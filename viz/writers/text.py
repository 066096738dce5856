"""Pictures for a terminal: an outline as a tree, clocks as rows of marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nestgraph.display.terminal import columns_of, inert, padded
from nestgraph.viz.clocks.picture import Raster
from nestgraph.viz.flows.outline import Link, Outline, Part
from nestgraph.viz.scene.theme import STATES

_WIDEST = 160  # columns of a line
_ARROWS = {"flow": "<-", "write": "<=", "rate": "<~", "init": "<o", "task": "<<", "carry": "<."}


def outline_text(outline: Outline) -> str:
    """Return a tree of parts; below each part, what it is fed with."""
    titles = {part.id: part.title for part in outline.all()}
    given: dict[str, list[Link]] = {}
    for link in outline.links:
        given.setdefault(link.target, []).append(link)
    lines = [outline.name, *([outline.doc] if outline.doc else []), *outline.notes, ""]
    lines += _tree(outline.parts, "", given, titles)
    kinds = dict.fromkeys(link.kind for link in outline.links)
    told = (f"{_ARROWS[kind]} {_MEANINGS[kind]}" for kind in _ARROWS if kind in kinds)
    return "\n".join(map(_line, [*lines, "", "   ".join(told)])).rstrip() + "\n"


_MEANINGS = {
    "flow": "flow",
    "write": "write",
    "rate": "rate",
    "init": "first state",
    "task": "gradient",
    "carry": "state, a tick later",
}


def _line(text: str) -> str:
    clean = inert(text)
    return clean if len(clean) <= _WIDEST else f"{clean[: _WIDEST - 3]}..."


def _tree(
    parts: Sequence[Part],
    indent: str,
    given: Mapping[str, Sequence[Link]],
    titles: Mapping[str, str],
) -> Iterator[str]:
    for part in parts:
        last = part is parts[-1]
        sign = f"{STATES[part.status].sign} " if part.status else ""
        yield f"{indent}{'└─' if last else '├─'} {sign}{part.title} {part.badge}".rstrip()
        deeper = f"{indent}{'   ' if last else '│  '}"
        bar = "│ " if part.parts else "  "
        for key, value in part.facts:
            yield f"{deeper}{bar}{f'{key:<10} ' if key else ''}{value}"
        for link in given.get(part.id, ()):
            yield f"{deeper}{bar}{_fed(link, part, titles)}"
        yield from _tree(part.parts, deeper, given, titles)


def _fed(link: Link, part: Part, titles: Mapping[str, str]) -> str:
    """Return `<= keys k from M_k`."""
    cell, source = part.told(link.cell), titles[link.source]
    return " ".join(filter(None, (_ARROWS[link.kind], cell, "from" if cell else "", source)))


def raster_text(raster: Raster) -> str:
    """Return a row a level, a mark where it ticks."""
    label = max(columns_of(inert(row.title)) for panel in raster.panels for row in panel.rows)
    lines = [raster.name]
    for panel in raster.panels:
        lines += ["", panel.told]
        for row in panel.rows:
            marks = "".join("█" if tick else "·" for tick in row.ticks)
            lines.append(f"{padded(inert(row.title), label)}  {marks}")
        scale = [" "] * len(panel.rows[0].ticks)
        for column, number in panel.labels:
            scale[column : column + len(number)] = number
        lines.append(f"{'':<{label}}  {''.join(scale)}".rstrip())
    return "\n".join(inert(line) for line in lines) + "\n"
