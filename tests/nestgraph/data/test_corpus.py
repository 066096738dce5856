"""Texts: shipped ones, files, folders, and what is said of those that can't be used."""

from __future__ import annotations

import hashlib
import lzma
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from nestgraph.data import load_corpus, shipped_names
from nestgraph.data import shipped as shipped_module
from nestgraph.data.shipped import manifest
from nestgraph.errors import InputError


def test_shakespeare_falls_into_the_same_parts_as_in_nanogpt() -> None:
    corpus = load_corpus("shakespeare")

    assert (len(corpus.train), len(corpus.validation)) == (1_003_854, 111_540)
    assert corpus.train.startswith(b"First Citizen:\nBefore we proceed any further")
    assert corpus.train + corpus.validation == corpus.text


def test_austen_holds_her_six_novels() -> None:
    text = load_corpus("austen").text

    assert text.startswith(b"SENSE AND SENSIBILITY")
    assert len(text) == manifest()["austen"]["bytes"]


@pytest.mark.parametrize("name", shipped_names())
def test_the_manifest_describes_the_packed_files(name: str) -> None:
    entry = manifest()[name]
    packed = files("nestgraph.data").joinpath(entry["file"]).read_bytes()

    assert hashlib.sha256(packed).hexdigest() == entry["packed_sha256"]
    assert len(lzma.decompress(packed)) == entry["bytes"]
    assert entry["licence"]


def test_a_shipped_text_that_was_altered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, said in (("packed_sha256", "its sha256"), ("sha256", "the sha256 of its content")):
        altered = {**manifest()["shakespeare"], name: "0" * 64}
        monkeypatch.setattr(shipped_module, "manifest", lambda one=altered: {"shakespeare": one})

        with pytest.raises(InputError, match=rf"{said} is not the one in MANIFEST\.json"):
            shipped_module.read_shipped("shakespeare")


def test_a_shipped_text_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {**manifest()["austen"], "file": "gone.txt.xz"}
    monkeypatch.setattr(shipped_module, "manifest", lambda: {"austen": gone})

    with pytest.raises(InputError, match=r"gone\.txt\.xz can't be read"):
        shipped_module.read_shipped("austen")


def test_a_file_is_read_byte_for_byte_even_if_it_is_binary(tmp_path: Path) -> None:
    content = os.urandom(500) + b"\0"
    (tmp_path / "x.bin").write_bytes(content)

    corpus = load_corpus(str(tmp_path / "x.bin"))

    assert corpus.text == content
    assert (corpus.files, corpus.left_out) == (1, 0)


def test_a_folder_is_its_text_files_in_sorted_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name, text in [("c.txt", b"last"), ("b/2.md", b"two\n"), ("b/10", b"ten"), ("a", b"one")]:
        (tmp_path / name).write_bytes(text)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    (tmp_path / ".git" / "HEAD").write_bytes(b"hidden")
    (tmp_path / ".hidden").write_bytes(b"hidden")
    (tmp_path / "empty").write_bytes(b"")

    corpus = load_corpus(str(tmp_path))

    assert corpus.text == b"one\nten\ntwo\nlast\n"
    assert (corpus.files, corpus.left_out) == (4, 1)


def test_a_local_file_does_not_hide_a_shipped_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shakespeare").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)

    assert load_corpus("./shakespeare").text == b"mine"
    assert len(load_corpus("shakespeare").text) == 1_115_394


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/such/file.txt", "give a path, or one of `shakespeare` and `austen`"),
        ("shakespear", "did you mean `shakespeare`"),
        ("nul\0byte", "neither a file, a folder nor a shipped text"),
        ("/dev/null", "neither a regular file nor a folder"),
    ],
)
def test_a_text_that_is_not_there_is_named(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_corpus(name)

    assert name.replace("\0", r"\u0000") in str(caught.value)
    assert said in str(caught.value)


def test_an_empty_file_and_an_empty_folder_hold_no_text(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "folder").mkdir()

    for name in ("empty.txt", "folder"):
        with pytest.raises(InputError, match="holds no text"):
            load_corpus(str(tmp_path / name))


def test_an_unreadable_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.txt"
    path.write_bytes(b"text")

    def deny(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", deny)

    with pytest.raises(InputError, match=r"secret\.txt` can't be read: Permission denied"):
        load_corpus(str(path))


def test_a_text_must_hold_a_training_window_and_something_to_validate_on(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_bytes(b"x" * 72)  # 64 train, 8 validate
    corpus = load_corpus(str(path))

    corpus.require(63)
    with pytest.raises(InputError, match=r"holds 72 bytes.*context of 64 tokens"):
        corpus.require(64)
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"holds 1 byte:.*smaller `training.context`"):
        load_corpus(str(path)).require(1)


def test_reading_text_does_not_import_torch() -> None:
    program = (
        "import sys, nestgraph.data as data\n"
        "data.load_corpus('shakespeare')\n"
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_text_that_is_a_broken_link_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "t.txt").symlink_to("gone.txt")
    with pytest.raises(InputError, match=r"NG701 `.*t.txt` is a link to `gone.txt`, which isn't"):
        load_corpus(str(tmp_path / "t.txt"))
