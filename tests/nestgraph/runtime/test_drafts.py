"""Files are whole: the old one until the new one is, and no draft stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nestgraph.runtime.drafts import write_new, write_whole

FULL = OSError(28, "No space left on device")


def test_a_file_that_isnt_there_is_made_once(tmp_path: Path) -> None:
    write_new(tmp_path / "x", b"mine")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"yours")
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_where_links_cant_be_made_a_file_is_still_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    write_new(tmp_path / "x", b"mine")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"yours")
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


@pytest.mark.parametrize("write", [write_new, write_whole])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_a_writing_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write, error: BaseException
) -> None:
    def fail(number: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(type(error)):
        write(tmp_path / "x", b"new")
    assert not list(tmp_path.iterdir())


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "x")
    for content in (b"first", b"second"):
        write_whole(tmp_path / "link", content)
        assert (tmp_path / "there" / "x").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    assert len(list(tmp_path.rglob("*"))) == 3


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"content")
    reader.join()
    assert read == [b"content"]
    assert pipe.is_fifo()


def test_drafts_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True
    )
    dead = tmp_path / f".x.{int(done.stdout)}.part"
    alive, other = tmp_path / f".x.{os.getppid()}.part", tmp_path / ".y.1x.part"
    for draft in (dead, alive, other):
        draft.write_bytes(b"half")
    write_whole(tmp_path / "x", b"whole")
    assert set(tmp_path.iterdir()) == {alive, other, tmp_path / "x"}


@pytest.mark.parametrize("write", [write_new, write_whole])
def test_an_error_names_the_file_and_never_its_draft(tmp_path: Path, write) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "gone" / "x", b"new")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "gone" / "x"), None)


@pytest.mark.parametrize("write", [write_new, write_whole])
@pytest.mark.parametrize("letters", [223, 224, 255])
def test_every_name_that_fits_can_be_written(tmp_path: Path, write, letters: int) -> None:
    write(tmp_path / ("x" * letters), b"long")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"long"]
