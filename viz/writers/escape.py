"""Texts of a spec as harmless parts of other languages: nothing in a name is taken for markup."""

from __future__ import annotations

from html import escape

_LONGEST_TIP = 300
_TURNS = frozenset(range(0x202A, 0x202F)) | frozenset(range(0x2066, 0x206A))
"""Marks that turn the direction of what follows, beyond the name that holds them."""


def legal(text: str) -> str:
    """Return a text in which question marks stand for what XML can't hold, and what turns lines
    round.
    """
    return "".join(letter if _is_legal(ord(letter)) else "?" for letter in text)


def _is_legal(code: int) -> bool:
    control = code < 0x20 or 0x7F <= code < 0xA0
    return not (control or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF) or code in _TURNS)


def xml(text: str) -> str:
    """Return a text inside an element or a quoted attribute of XML or HTML."""
    return escape(legal(text), quote=True)


def tip(text: str) -> str:
    """Return what is told when the mouse rests on something: not a page of it."""
    return text if len(text) <= _LONGEST_TIP else f"{text[:_LONGEST_TIP]}..."
