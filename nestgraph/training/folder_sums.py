"""SHA256SUMS of a run folder: the checksums of its texts, and of its tables once nothing grows.

The file is that of `sha256sum`, which checks it too (`sha256sum -c SHA256SUMS`). Checkpoints carry
their own.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from nestgraph.errors import InputError, InputWarning
from nestgraph.training.files import replace_file, unwritable

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def seal(folder: Path, files: Iterable[Path]) -> None:
    """Note the checksums of files of a run that are complete, beside those noted before.

    Args:
        folder: of the run.
        files: in it; those that aren't there are left out.

    Raises:
        InputError: the file can't be written.
    """
    before = _noted(folder / SUMS) if (folder / SUMS).is_file() else {}
    there = (file for file in files if file.is_file())
    noted = before | {file.relative_to(folder).as_posix(): _digest(file) for file in there}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(noted.items())]
    replace_file(folder / SUMS, "".join(lines).encode())


def unseal(folder: Path) -> None:
    """Forget the checksums, before something of it is written anew.

    Raises:
        InputError: the file can't be removed.
    """
    try:
        (folder / SUMS).unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder / SUMS, error) from error


def require_intact(folder: Path, *names: str) -> None:
    """Make sure that a run folder is as the run wrote it; warns where nothing tells.

    Args:
        folder: of the run.
        names: of files that must be told of where they are.

    Raises:
        InputError: a file isn't as it was written, is missing, or can't be read.
    """
    path = folder / SUMS
    if not path.is_file():
        said = f"`{folder}` has no {SUMS}: nobody would notice if its texts were damaged"
        warnings.warn(InputWarning("NG718", said), stacklevel=2)
        return
    noted = _noted(path)
    for name in names:
        if name not in noted and (folder / name).is_file():
            raise _damaged(folder / name, f"{SUMS} doesn't list it", path)
    for name, digest in noted.items():
        if not (folder / name).is_file():
            raise _damaged(folder / name, "it is missing", path)
        if _digest(folder / name) != digest:
            raise _damaged(folder / name, f"its sha256 is not that in {SUMS}", path)


def _noted(path: Path) -> dict[str, str]:
    matches = [_LINE.fullmatch(line) for line in _read(path).decode("utf-8", "replace").split("\n")]
    lines = [match for match in matches if match]
    if not lines or len(lines) != len(matches) - 1:  # the last line ends, too
        raise _damaged(path, "its lines aren't checksums and names", path)
    return {line[2]: line[1] for line in lines}


def _digest(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"`{path}` can't be read: {error.strerror or error}"
        raise InputError("NG712", message, "look at its rights") from error


def _damaged(path: Path, why: str, sums: Path) -> InputError:
    return InputError(
        "NG715",
        f"`{path}` is not as the run wrote it: {why}",
        f"put it back; if it was changed on purpose, delete `{sums}`",
    )
