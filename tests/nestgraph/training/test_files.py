"""Files are whole: the old one until the new one is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestgraph.errors import InputError
from nestgraph.training.files import replace_file


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x"

    replace_file(path, b"old")
    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_stops_the_writing_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "x"
    replace_file(path, b"old")

    def fail(number: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        replace_file(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"NG721 `{path}` can't be written: No space left on device;"
            " free some space, or write elsewhere"
        )


def test_a_folder_that_isnt_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone/x` can't be written: No such file or directory"):
        replace_file(tmp_path / "gone" / "x", b"new")
