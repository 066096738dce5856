"""Whose mistake it is when two files disagree: the one that came later changed what was right.

A spec that extends another can't take a key away, and its base may be right by itself: whoever
is told to delete something there breaks the base.
"""

from __future__ import annotations

from collections.abc import Iterable

from nestgraph.errors import Span


def turned_elsewhere(place: Span | None, causes: Iterable[Span | None]) -> Span | None:
    """Return the cause that stands in another file than what it makes wrong; None if all is in one.

    Args:
        place: of what has no meaning now.
        causes: of which one has taken the meaning from it.
    """
    others = (cause for cause in causes if cause and place and cause.file != place.file)
    return next(others, None)
