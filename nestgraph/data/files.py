"""The user's own text: one file as it is, or all text files of a folder in sorted order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nestgraph.data.shipped import shipped_names
from nestgraph.errors import InputError
from nestgraph.findings import closest, listed
from nestgraph.text.files import broken_link

PROBE = 8192  # a zero byte this near to the start tells that a file is not text


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a path held; of a folder, the size and the sha256 of each file, too."""

    text: bytes
    files: int
    left_out: int = 0
    parts: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def read_path(name: str) -> Found:
    """Return a file byte for byte, whatever it holds; of a folder, the files that are text.

    Raises:
        InputError: when the path doesn't exist or can't be read.
    """
    path = Path(name)
    try:
        if path.is_dir():
            return _read_folder(path)
        if path.is_file():
            return Found(text=path.read_bytes(), files=1)
        there = path.exists()
    except OSError as error:
        raise _unreadable(name, error) from error
    raise _unusable(name) if there else _missing(name)


def _read_folder(folder: Path) -> Found:
    parts: list[bytes] = []
    known: dict[str, tuple[int, str]] = {}
    left_out = 0
    for path in _visible_files(folder):
        content = path.read_bytes()
        if b"\0" in content[:PROBE]:
            left_out += 1
        elif content:
            # Without this the last line of one file would run into the next file.
            parts.append(content if content.endswith(b"\n") else content + b"\n")
            digest = hashlib.sha256(content).hexdigest()
            known[path.relative_to(folder).as_posix()] = (len(content), digest)
    return Found(text=b"".join(parts), files=len(parts), left_out=left_out, parts=known)


def _visible_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(root, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if path.is_file()]
    return sorted(found)


def _refuse(error: OSError) -> None:
    """Keep `os.walk` from passing over a folder that it may not read."""
    raise error


def _missing(name: str) -> InputError:
    if why := broken_link(Path(name)):
        return InputError("NG701", why, "mend the link, or name a text")
    known = shipped_names()
    near = closest(name, known)
    hint = f"did you mean `{near}`?" if near else f"give a path, or one of {listed(known)}"
    return InputError("NG701", f"`{name}` is neither a file, a folder nor a shipped text", hint)


def _unusable(name: str) -> InputError:
    return InputError("NG701", f"`{name}` is neither a regular file nor a folder", "give a path")


def _unreadable(name: str, error: OSError) -> InputError:
    place = error.filename or name
    why = error.strerror or str(error)
    return InputError("NG701", f"`{place}` can't be read: {why}", "give a file that you may read")
