"""Text for terminals: nothing in it moves the cursor, turns a line round or hides what follows.

Names, docs and paths come from others. What could act on a terminal is shown as the escape
`\\uXXXX`, which JSON, Python and quoted YAML read back as the letter that it stands for.
"""

from __future__ import annotations

import re
from unicodedata import category, east_asian_width

LINES = "\n\t"
"""What a text of several lines keeps."""

_ACTING = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\u00ad\u200b\ufeff"  # invisible, so that two names look the same
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction
    "\u2028\u2029"  # separators of lines
    "\ud800-\udfff"  # bytes that were no UTF-8, which can't be printed
    "]"
)


def inert(text: str, keep: str = "") -> str:
    """Return a text with escapes in place of all that acts on a terminal.

    Args:
        text: from anywhere.
        keep: letters that stay as they are.
    """
    return _ACTING.sub(lambda found: _escape(found.group(), keep), text)


def _escape(letter: str, keep: str) -> str:
    return letter if letter in keep else f"\\u{ord(letter):04x}"


def columns_of(text: str) -> int:
    """Return how many columns a terminal takes for a line: two for a wide letter, none for an
    accent.
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(letter: str) -> int:
    if category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1


def padded(text: str, columns: int) -> str:
    """Return a line with spaces behind it, as many as it takes to fill some columns."""
    return text + " " * (columns - columns_of(text))
