"""Rows of text as aligned columns. Plain text, so that it reads the same in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nestgraph.display.terminal import columns_of, inert, padded

GAP = "  "


def columns(rows: Iterable[Sequence[object]], *, indent: int = 0) -> str:
    """Return rows under each other, each column as wide as its widest cell."""
    cells = [[inert(str(cell)) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [
        max((columns_of(row[at]) for row in cells if at < len(row)), default=0)
        for at in range(count)
    ]
    return "\n".join(
        " " * indent
        + GAP.join(padded(cell, w) for cell, w in zip(row, widths, strict=False)).rstrip()
        for row in cells
    )


def section(title: str, body: str) -> str:
    """Return a titled part of a longer text."""
    return f"{title}\n{body}"
