"""Texts and data sets that lie beside this file, packed; NOTICE says whose they are."""

from __future__ import annotations

import functools
import hashlib
import json
import lzma
from importlib.resources import files
from typing import Literal, NotRequired, TypedDict

from nestgraph.errors import InputError


class Entry(TypedDict):
    """What MANIFEST.json says of one file.

    A `text` is read whole, by its name, wherever a corpus is; a `set` has `rows`, by split.
    """

    file: str
    kind: Literal["text", "set"]
    doc: str
    bytes: int
    rows: NotRequired[dict[str, int]]
    sha256: str
    packed_sha256: str
    licence: str
    source: str


@functools.cache
def manifest() -> dict[str, Entry]:
    """Return all shipped files by name."""
    text = files("nestgraph.data").joinpath("MANIFEST.json").read_text(encoding="utf-8")
    entries: dict[str, Entry] = json.loads(text)
    return entries


def shipped_names() -> tuple[str, ...]:
    """Return the names of texts that need no download."""
    return tuple(name for name, entry in manifest().items() if entry["kind"] == "text")


def read_shipped(name: str) -> bytes:
    """Return one shipped file, unpacked and checked against its sha256.

    Raises:
        InputError: when the installed file is missing or damaged.
    """
    entry = manifest()[name]
    try:
        packed = files("nestgraph.data").joinpath(entry["file"]).read_bytes()
    except OSError as error:
        raise _damaged(entry["file"], error.strerror or str(error)) from error
    if hashlib.sha256(packed).hexdigest() != entry["packed_sha256"]:  # before it is unpacked
        raise _damaged(entry["file"], "its sha256 is not the one in MANIFEST.json")
    content = lzma.decompress(packed)
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(entry["file"], "the sha256 of its content is not the one in MANIFEST.json")
    return content


def _damaged(file: str, why: str) -> InputError:
    return InputError(
        "NG703", f"the shipped file {file} can't be read: {why}", "install nestgraph again"
    )
