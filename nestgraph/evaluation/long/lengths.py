"""Lengths of a long-context task: rows become longer by doubling, and needles farther with them.

At the full length a needle keeps the whole gap; at shorter ones, by which a model learns what is
asked, the same share of it, as far as there is room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nestgraph.evaluation.task import Draw, Reference, Task, require

RATES = (1e-3, 3e-3)
LONGEST = 1 << 20


def require_room(T: int, gap: int, shortest: int, size: int) -> None:
    """Refuse lengths that don't hold what a row needs.

    Args:
        T: tokens of the longest rows.
        gap: bytes of haystack between needles and question there.
        shortest: tokens of the first rows of a curriculum.
        size: bytes of all but the haystack.

    Raises:
        InputError: they don't (NG931).
    """
    require(gap >= 1, f"`gap` (={gap}) must be at least 1")
    require(T <= LONGEST, f"`T` (={T}) must be at most {LONGEST}")
    least = size + gap
    said = f"`T` (={T}) must be at least {least}: the gap, and {size} bytes hidden or asked"
    require(least <= T, said, "give a larger `T` or a smaller `gap`")
    said = f"`shortest` (={shortest}) must be from {size} to `T` (={T})"
    require(size <= shortest <= T, said, "the shortest rows must hold needles and question")


def lengths_of(T: int, gap: int, shortest: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield lengths from the shortest by doubling up to T, and the gap of each."""
    length = shortest
    while length < T:
        yield length, min(gap * length // T, length + 1 - size)
        length *= 2
    yield T, gap


def hiding(
    *,
    name: str,
    doc: str,
    draw: Draw,
    context: int,
    parts: Mapping[str, Draw],
    chance: float | None,
    references: tuple[Reference, ...] = (),
) -> Task:
    """Return a task of rows of bytes whose whole answer must be right."""
    return Task(
        name=name,
        kind="long",
        doc=doc,
        vocab=256,
        context=context,
        metric="strings",
        higher=True,
        chance=chance,
        floor=1.0,
        stop=0.99,
        steps=3000,
        batch=16,
        rates=RATES,
        references=references,
        draw=draw,
        rows=256,
        parts=parts,
    )
