"""Writing a file so that there is always a whole one: the old until the new is complete.

What is written first is a draft beside the file, hidden and named after the process; a rename puts
it in its place. Drafts of processes that were killed go when the file is next written.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

LONGEST = 255  # bytes of a name, on most file systems
ROOM = 32  # of it for the rest of a draft's


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Put `content` in the place of a file, or leaves everything as it was.

    A link is followed. A device or a pipe (`/dev/stdout`) is written to as it is.

    Raises:
        OSError: when the disk is full or the place can't be written to.
    """
    if _is_stream(path):
        path.write_bytes(content)
        return
    with _draft(path.resolve() if path.is_symlink() else path, content) as (draft, target):
        draft.replace(target)


def write_new(path: Path, content: bytes) -> None:
    """Make a file that isn't there, whole or not at all.

    Raises:
        FileExistsError: there is one, even if only since a moment ago.
        OSError: when the disk is full or the place can't be written to.
    """
    with _draft(path, content) as (draft, target):
        try:
            os.link(draft, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(target):
                raise FileExistsError(str(target)) from None
            draft.replace(target)


@contextlib.contextmanager
def _draft(path: Path, content: bytes | memoryview) -> Iterator[tuple[Path, Path]]:
    """Provide a complete draft, to be put in its place inside the block, and that place."""
    _forget_dead(path)
    draft = path.with_name(f".{_short(path.name)}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft, path
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # nobody has heard of the draft
        raise
    finally:
        with contextlib.suppress(OSError):  # where it was renamed, or never was
            draft.unlink()


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _forget_dead(path: Path) -> None:
    """Remove drafts of the file whose writers are gone."""
    with contextlib.suppress(OSError):
        for left in path.parent.glob(f".{glob.escape(_short(path.name))}.*.part"):
            writer = left.name.removesuffix(".part").rpartition(".")[2]
            if writer.isdigit() and not _lives(int(writer)):
                left.unlink(missing_ok=True)


def _short(name: str) -> str:
    """Return a name that leaves room for what drafts have around it."""
    if len(os.fsencode(name)) <= LONGEST - ROOM:
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or none that could be asked
        return True
    return True
