"""Text as HTML: everything that an author wrote is escaped here, and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Shown = TypeVar("Shown")

STYLE = """
.nestgraph { font: 14px/1.45 system-ui, sans-serif; overflow-x: auto }
.nestgraph table { border-collapse: collapse; margin: .5em 0 }
.nestgraph th, .nestgraph td { text-align: left; padding: .15em .8em .15em 0; vertical-align: top }
.nestgraph th { border-bottom: 1px solid currentColor; font-weight: 600 }
.nestgraph pre { font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap; margin: .5em 0 }
.nestgraph svg { max-width: 100%; height: auto; background: #fff }
.nestgraph .added { color: #1a7f37 } .nestgraph .removed { color: #cf222e }
.nestgraph .changed { color: #9a6700 }
"""


def escaped(text: object) -> str:
    """Return any value as text that HTML shows as it is, in an attribute too.

    Control characters, which no page may hold, become question marks.
    """
    plain = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}"
                    for c in str(text))  # fmt: skip
    return html.escape(plain, quote=True)


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of texts."""
    head = "".join(f"<th>{escaped(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def boxed(*parts: str) -> str:
    """Return HTML with the style that goes with it, to stand inside any page."""
    return f'<div class="nestgraph"><style>{STYLE}</style>{"".join(parts)}</div>'


def bundle(
    shown: Shown, markup: Callable[[Shown], str], text: Callable[[Shown], str] = repr
) -> dict[str, str]:
    """Return what a notebook shows: text, and HTML where it can be made; raises nothing.

    Args:
        shown: the object.
        markup: makes its HTML.
        text: makes its text.
    """
    made = {"text/plain": safely(lambda: text(shown)) or object.__repr__(shown)}
    rich = safely(lambda: markup(shown))
    return made if rich is None else {**made, "text/html": rich}


def safely(make: Callable[[], str]) -> str | None:
    """Return what a function makes, or None if it fails: a notebook goes on, whatever is broken."""
    try:
        return make()
    except Exception:
        return None
