"""Files that grow by whole lines: whoever is interrupted loses the line that was under way only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def open_to_append(file: Path) -> int:
    """Return a handle of the file, to add to; made with its folder where it isn't there.

    Raises:
        OSError: it can't be opened.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)


def append_line(file: Path, line: str, is_whole: Callable[[str], bool]) -> None:
    """Add a line by a single write; a last line that was torn goes.

    Args:
        file: to add to.
        line: without its end.
        is_whole: whether a last line without an end is one all the same, and stays.

    Raises:
        OSError: the file can't be written.
    """
    handle = open_to_append(file)
    try:
        os.write(handle, _mended(handle, is_whole) + line.encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def _mended(handle: int, is_whole: Callable[[str], bool]) -> bytes:
    """Return what must stand before a new line; cuts off a torn one, and ends a whole one."""
    size = os.fstat(handle).st_size
    content = os.pread(handle, size, 0)
    if not content or content.endswith(b"\n"):
        return b""
    begin = content.rfind(b"\n") + 1
    if is_whole(content[begin:].decode("utf-8", errors="replace")):
        return b"\n"
    os.ftruncate(handle, begin)
    return b""
