"""Texts as the HTML-like labels of Graphviz, with nothing in a name taken for markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nestgraph.viz.measure import HEAD, BoxSize, Strip
from nestgraph.viz.metrics import text_width
from nestgraph.viz.theme import (
    FAINT,
    INK,
    LINE,
    NAME_SIZE,
    PAD,
    PAPER,
    STROKES,
    TEXT_SIZE,
)

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
# Graphviz looks for escapes in labels after it has resolved entities: one more backslash.
_ENTITIES["\\"] = "&#92;&#92;"


def escaped(text: str) -> str:
    """A text without markup."""
    return "".join(_ENTITIES.get(letter, letter) for letter in legal(text))


def legal(text: str) -> str:
    """A text in which question marks stand for what XML can't hold."""
    return "".join(letter if _is_legal(ord(letter)) else "?" for letter in text)


def _is_legal(code: int) -> bool:
    control = code < 0x20 or 0x7F <= code < 0xA0
    return not (control or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF))


def font(text: str, size: float, colour: str = INK, *, bold: bool = False) -> str:
    """A text in a size and colour."""
    inner = f"<B>{escaped(text)}</B>" if bold else escaped(text)
    # Graphviz refuses an empty element.
    return f'<FONT POINT-SIZE="{size:g}" COLOR="{colour}">{inner}</FONT>' if text else ""


def cell(content: str, width: float, height: float, align: str = "LEFT", more: str = "") -> str:
    """A cell of fixed size."""
    size = f'FIXEDSIZE="TRUE" WIDTH="{round(width)}" HEIGHT="{round(height)}"'
    return f'<TD {size} ALIGN="{align}"{more}>{content}</TD>'


def table(rows: Iterable[Sequence[str]], more: str = "") -> str:
    """A table without lines or gaps."""
    body = "".join(f"<TR>{''.join(row)}</TR>" for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"{more}>{body}</TABLE>'


def lines(texts: Iterable[tuple[str, float, bool]], width: float) -> str:
    """Lines of text below each other."""
    return table(
        [cell(font(text, size, bold=bold), width, line_height(size))] for text, size, bold in texts
    )


def line_height(size: float) -> float:
    """Height of a line of text of a size."""
    return size + 6


def right_aligned(text: str, width: float) -> str:
    """A faint bold line that ends at the right."""
    own = math.ceil(text_width(text, TEXT_SIZE, bold=True))
    content = cell(font(text, TEXT_SIZE, FAINT, bold=True), own, 16)
    return table([[cell("", width - own, 16), content]])


def centred(text: str, width: float, colour: str) -> str:
    """A line in the middle; spaced by its own width, as renderers measure text wrongly."""
    own = math.ceil(text_width(text, TEXT_SIZE))
    left = (round(width) - own) // 2
    row = [cell("", left, LINE), cell(font(text, TEXT_SIZE, colour), width - left, LINE)]
    return table([row])


def box(size: BoxSize, colour: str) -> str:
    """A box: name, facts and inputs."""
    rows = [[cell(_facts(size), size.width, _inner_height(size))]]
    if size.strip is not None:
        rows.append([f"<TD>{strip(size.strip, 'T')}</TD>"])
    body = "".join(f"<TR>{''.join(row)}</TR>" for row in rows)
    return (
        f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" '
        f'COLOR="{colour}" BGCOLOR="{PAPER}">{body}</TABLE>'
    )


def _inner_height(size: BoxSize) -> float:
    return size.height - (size.strip.height if size.strip else 0)


def _facts(size: BoxSize) -> str:
    width = size.width - 2 * PAD
    badge = math.ceil(text_width(size.badge, NAME_SIZE, bold=True))
    title = cell(font(size.title, NAME_SIZE, bold=True), width - badge, HEAD)
    times = cell(font(size.badge, NAME_SIZE, FAINT, bold=True), badge, HEAD)
    rows = [[cell(table([[title, times]]), width, HEAD)]]
    if size.origin:
        rows.append([cell(font(size.origin, TEXT_SIZE, FAINT), width, LINE)])
    for key, texts in size.facts:
        for index, text in enumerate(texts or ("",)):
            name = cell(font(key if index == 0 else "", TEXT_SIZE, FAINT), size.key_width, LINE)
            value = cell(font(text, TEXT_SIZE), width - size.key_width, LINE)
            rows.append([cell(table([[name, value]]), width, LINE)])
    margin = cell("", PAD, PAD)
    space = [margin, cell("", width, PAD), margin]
    return table([space, *([margin, *row, margin] for row in rows), space])


def strip(inputs: Strip, sides: str) -> str:
    """A row of inputs; each cell in the colour of its edges."""
    row = []
    for index, (held, width) in enumerate(zip(inputs.cells, inputs.widths, strict=True)):
        stroke = STROKES[held.kind]
        border = sides + ("" if index == 0 else "L")
        texts = [[cell(centred(line, width, stroke.colour), width, LINE)] for line in held.lines]
        above = (inputs.height - round(LINE) * len(texts)) // 2
        below = inputs.height - round(LINE) * len(texts) - above
        padded = table([[cell("", width, above)], *texts, [cell("", width, below)]])
        more = f' BORDER="1" SIDES="{border}" COLOR="{FAINT}" BGCOLOR="{stroke.tint}"'
        row.append(cell(padded, width, inputs.height, more=more))
    return table([row])
