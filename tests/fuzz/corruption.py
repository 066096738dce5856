"""Damage as disks, cables and half-finished copies do it, to any part of a file."""

from __future__ import annotations

import random
from collections.abc import Callable

NEAR = 600  # bytes at either end, where formats keep what they say of themselves


def corrupted(content: bytes, source: random.Random) -> tuple[str, bytes]:
    """Return what was done to a file, and what it holds now; never what it held before."""
    while True:
        name = source.choice(sorted(_WAYS))
        damaged = bytearray(content)
        _WAYS[name](damaged, source)
        if damaged != content:
            return name, bytes(damaged)


def _place(size: int, source: random.Random) -> int:
    """Somewhere in a file: its start, its end and all of it are as likely as each other."""
    part = source.randrange(3)
    near = min(NEAR, size)
    if part == 0:
        return source.randrange(near)
    return size - 1 - source.randrange(near) if part == 1 else source.randrange(size)


def _flip(count: int) -> Callable[[bytearray, random.Random], None]:
    def flip(content: bytearray, source: random.Random) -> None:
        for _ in range(count):
            content[_place(len(content), source)] ^= 1 << source.randrange(8)

    return flip


def _zero(content: bytearray, source: random.Random) -> None:
    start = _place(len(content), source)
    end = min(len(content), start + source.choice((1, 4, 64, 512, 4096)))
    content[start:end] = bytes(end - start)


def _truncate(content: bytearray, source: random.Random) -> None:
    del content[_place(len(content), source) :]


def _append(content: bytearray, source: random.Random) -> None:
    content += source.choice((bytes, source.randbytes))(source.choice((1, 8, 512, 4096)))


def _swap(content: bytearray, source: random.Random) -> None:
    size = source.choice((1, 16, 64, 512))
    if len(content) < 2 * size:
        return
    blocks = len(content) // size
    one, other = (source.randrange(blocks) * size for _ in range(2))
    first, second = content[one : one + size], content[other : other + size]
    content[one : one + size], content[other : other + size] = second, first


_WAYS: dict[str, Callable[[bytearray, random.Random], None]] = {
    "1 bit": _flip(1),
    "2 bits": _flip(2),
    "8 bits": _flip(8),
    "zeros": _zero,
    "cut": _truncate,
    "appended": _append,
    "swapped": _swap,
}
