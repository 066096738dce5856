"""Cures for what two files say together: a base may be right by itself, and stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from nestgraph.errors import Diagnostic


def sparing_bases(
    found: Iterable[Diagnostic], main: str, bases: Collection[str], changed: bool
) -> Iterator[Diagnostic]:
    """Yield findings that don't tell to delete in a base what only its extension makes wrong.

    Args:
        found: about the spec as a whole.
        main: the file that was asked for.
        bases: the files that it extends.
        changed: whether `--set` has changed something, too.
    """
    for one in found:
        file = one.span.file if one.span else ""
        if "delete" in one.hint and (file in bases or (changed and file == main)):
            changes = f"what `{main}` changes" if file in bases else "what `--set` changes"
            one = replace(one, hint=f"{one.hint}; if `{file}` is right alone, take back {changes}")
        yield one
