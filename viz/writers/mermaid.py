"""An outline as Mermaid, for READMEs and pages that render it.

Parts are called n0, n1, ...; every letter of a name that could mean something to Mermaid, to
Markdown or to HTML is written as its number. The title stands in the front matter, where Mermaid
decodes no such numbers: it is a quoted word of YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from nestgraph.viz.flows.outline import Outline, Part
from nestgraph.viz.scene.theme import Theme
from nestgraph.viz.writers.escape import legal

_ARROWS = {
    "flow": "-->",
    "write": "==>",
    "rate": "-.->",
    "init": "--o",
    "task": "--x",
    "carry": "-.->",
}
_PLAIN = frozenset(" _.,:+*/()")
_MARKUP = re.compile("[<>&`]")
_LONGEST = 120  # letters of a line


def to_mermaid(outline: Outline, theme: Theme) -> str:
    """Return a flowchart; colours of tones and of kinds of links are those of the theme."""
    names = {part.id: f"n{index}" for index, part in enumerate(outline.all())}
    direction = "BT" if outline.rising else "TB"
    lines = ["---", f"title: {_quoted(outline.name)}", "---", f"flowchart {direction}"]
    # Mermaid starts with what it is told first: where flows rise, with the lowest.
    for part in reversed(outline.parts) if outline.rising else outline.parts:
        lines += _part(part, names, "  ")
    parts = {part.id: part for part in outline.all()}
    for link in outline.links:
        label = " ".join(filter(None, (parts[link.target].told(link.cell), link.label)))
        told = f'|"{_said(label)}"|' if label else ""
        source, target = names[link.source], names[link.target]
        lines.append(f"  {source} {_ARROWS[link.kind]}{told} {target}")
    lines += _colours(outline, names, theme)
    return "\n".join(lines) + "\n"


def _part(part: Part, names: dict[str, str], indent: str) -> Iterator[str]:
    name = names[part.id]
    title = f"{part.title} {part.badge}".rstrip()
    if part.parts:
        title = ", ".join([title, *(value for _, value in part.facts)])
        yield f'{indent}subgraph {name}["{_said(title)}"]'
        for inner in part.parts:
            yield from _part(inner, names, f"{indent}  ")
        yield f"{indent}end"
        return
    facts = (_said(f"{key} {value}".strip()) for key, value in part.facts)
    yield f'{indent}{name}["{"<br/>".join([_said(title), *facts])}"]'


def _said(text: str) -> str:
    """Return a line without markup."""
    return "".join(
        letter if letter.isalnum() or letter in _PLAIN else f"#{ord(letter)};"
        for letter in _cut(text)
    )


def _quoted(text: str) -> str:
    """Return a line as a word of YAML, in which neither HTML nor Markdown finds anything."""
    quoted = json.dumps(_cut(text), ensure_ascii=False)
    return _MARKUP.sub(lambda found: f"\\u{ord(found.group()):04x}", quoted)


def _cut(text: str) -> str:
    return legal(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _colours(outline: Outline, names: dict[str, str], theme: Theme) -> Iterator[str]:
    for part in outline.all():
        paint = part.status or part.tone
        fill, line = theme.colour(f"{paint}-fill"), theme.colour(f"{paint}-line")
        ink = theme.colour("ink")
        yield f"  style {names[part.id]} fill:{fill},stroke:{line},color:{ink}"
    by_colour: dict[str, list[str]] = {}
    for index, link in enumerate(outline.links):
        paint = f"{link.status}-line" if link.status else link.kind
        by_colour.setdefault(theme.colour(paint), []).append(str(index))
    for colour, links in by_colour.items():
        yield f"  linkStyle {','.join(links)} stroke:{colour}"
