"""Writing whole files of a run, with a sentence where that fails."""

from __future__ import annotations

from pathlib import Path

from nestgraph.errors import InputError
from nestgraph.runtime.drafts import write_whole
from nestgraph.system_errors import cause_of, cure_of


def replace_file(path: Path, content: bytes | memoryview) -> None:
    """Put `content` in the place of a file, or leaves everything as it was.

    Raises:
        InputError: when the disk is full or the place can't be written to.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> InputError:
    """Return why a file or a folder couldn't be written, as a sentence with a cure that fits."""
    return InputError("NG721", f"`{path}` can't be written: {cause_of(error)}", cure_of(error))
