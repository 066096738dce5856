"""Cures of what the system refuses: each fits, and room is made only where there is none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nestgraph.errors import InputError
from nestgraph.system_errors import cause_of, cure_of
from nestgraph.training.files import replace_file

WRITING = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


@pytest.mark.parametrize("number", [*WRITING, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EIO])
def test_only_a_full_disk_is_cured_by_room(number: int) -> None:
    cure = cure_of(OSError(number, os.strerror(number)))
    assert cure
    assert "free some space" not in cure
    for full in (errno.ENOSPC, errno.EDQUOT):
        assert "free some space" in cure_of(OSError(full, os.strerror(full)))


def test_where_nothing_is_known_to_help_nothing_is_advised() -> None:
    assert cure_of(OSError("the tape is full")) == ""
    assert cause_of(OSError("no number, no words")) == "OSError"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone/x", "No such file or directory; make the folder"),
        ("file/x", "Not a directory; one of the folders on its way is a file"),
        ("folder", "Is a directory; name a file"),
        ("n" * 300, "File name too long; choose a shorter name"),
        ("loop/x", "Too many levels of symbolic links; one of the links"),
    ],
)
def test_a_file_that_cant_be_written_is_named_with_its_cure(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = set(tmp_path.iterdir())

    with pytest.raises(InputError) as caught:
        replace_file(tmp_path / name, b"new")

    assert f"NG721 `{tmp_path / name}` can't be written: {said}" in str(caught.value)
    assert ".part" not in str(caught.value)
    assert set(tmp_path.iterdir()) == before
