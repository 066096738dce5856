"""Tables as Markdown has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> list[str]:
    """The lines of a table; the first `words` columns hold words, the others numbers."""
    rule = [*["---"] * words, *["---:"] * (len(head) - words)]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
