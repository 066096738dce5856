"""What a training says on the terminal: plain lines, none of which acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestgraph.display.terminal import LINES, inert

if TYPE_CHECKING:
    from rich.console import Console


def tell(console: Console, words: str) -> None:
    """Print some words as they are: no markup, no colours, no line breaks of rich's own."""
    console.print(inert(words, LINES), markup=False, highlight=False, soft_wrap=True)
