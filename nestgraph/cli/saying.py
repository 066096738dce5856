"""What commands print: all of it passes here, and none of it acts on the terminal."""

from __future__ import annotations

import typer

from nestgraph.display.terminal import LINES, inert


def say(
    text: object = "", *, err: bool = False, nl: bool = True, colour: str | None = None
) -> None:
    """Print a text, with escapes in place of control characters and marks of direction."""
    words = inert(str(text), LINES)
    typer.echo(words if colour is None else typer.style(words, fg=colour), err=err, nl=nl)
