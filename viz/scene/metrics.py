"""How wide text is in Helvetica, so that boxes can be sized before anything draws them.

Renderers measure badly (each byte of a non-ASCII letter counts as a space), so the pictures
never ask them. Widths are those of Adobe's font metrics, in thousandths of the font size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

# From the space to the tilde.
_PLAIN = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_BOLD = (
    *(278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611),
    *(975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556),
    *(333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611),
    *(611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584),
)
_NARROW = {"·": 278, "×": 584, "∞": 713}
_UNKNOWN = 1000  # an em: no letter is wider


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return width of one line of text in points."""
    return _units(text, bold) * size / 1000


@lru_cache(maxsize=4096)  # a picture asks several times for each of its texts
def _units(text: str, bold: bool) -> int:
    table = _BOLD if bold else _PLAIN
    return sum(_letter(letter, table) for letter in text)


def _letter(letter: str, table: tuple[int, ...]) -> int:
    index = ord(letter) - 32
    return table[index] if 0 <= index < len(table) else _NARROW.get(letter, _UNKNOWN)


def is_measured(text: str) -> bool:
    """Return whether the width of every letter is known."""
    return all(" " <= letter <= "~" or letter in _NARROW for letter in text)


def shorten(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return the text, cut with `...` where it is wider than `width`."""
    if text_width(text, size, bold=bold) <= width:
        return text
    # No letter that is drawn is narrower than a fifth of the size: the rest can't fit.
    kept = text[: int(width / size * 5) + 1]
    while kept and text_width(kept + "...", size, bold=bold) > width:
        kept = kept[:-1]
    return kept + "..."


def wrap(text: str, width: float, size: float, lines: int = 4) -> tuple[str, ...]:
    """Return the text in lines of at most `width`, broken at spaces; what is too much is cut."""
    return _cut(list(_filled(text.split(), width, size)), width, size, lines)


def wrap_list(text: str, width: float, size: float, lines: int = 4) -> tuple[str, ...]:
    """Wrap like `wrap`, but break items of a list apart only where one is wider than a line."""
    items: list[str] = []
    for item in text.replace(", ", ",\n").splitlines():
        whole = text_width(item, size) <= width
        items += [item] if whole else item.split()
    return _cut(list(_filled(items, width, size)), width, size, lines)


def _filled(parts: Iterable[str], width: float, size: float) -> Iterator[str]:
    line = ""
    for part in parts:
        longer = f"{line} {part}" if line else part
        if line and text_width(longer, size) > width:
            yield line
            longer = part
        line = shorten(longer, width, size)
    if line:
        yield line


def _cut(lines: list[str], width: float, size: float, most: int) -> tuple[str, ...]:
    if len(lines) > most:
        lines = [*lines[: most - 1], shorten(" ".join(lines[most - 1 :]), width, size)]
    return tuple(lines)
