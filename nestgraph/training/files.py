"""Writing a file so that there is always a whole one: the old until the new is complete."""

from __future__ import annotations

import os
from pathlib import Path

from nestgraph.errors import InputError


def replace_file(path: Path, content: bytes | memoryview) -> None:
    """Puts `content` in the place of a file, or leaves everything as it was.

    Raises:
        InputError: when the disk is full or the place can't be written to.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def unwritable(path: Path, error: OSError) -> InputError:
    """Why a file couldn't be written, as a sentence."""
    why = error.strerror or str(error)
    return InputError(
        "NG721", f"`{path}` can't be written: {why}", "free some space, or write elsewhere"
    )
