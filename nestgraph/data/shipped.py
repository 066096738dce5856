"""The texts that lie beside this file, packed; their licences are in MANIFEST.json and NOTICE."""

from __future__ import annotations

import functools
import hashlib
import json
import lzma
from importlib.resources import files
from typing import TypedDict

from nestgraph.errors import InputError


class Entry(TypedDict):
    """What MANIFEST.json says of one text."""

    file: str
    doc: str
    bytes: int
    sha256: str
    packed_sha256: str
    licence: str
    source: str


@functools.cache
def manifest() -> dict[str, Entry]:
    """All shipped texts by name."""
    text = files("nestgraph.data").joinpath("MANIFEST.json").read_text(encoding="utf-8")
    entries: dict[str, Entry] = json.loads(text)
    return entries


def shipped_names() -> tuple[str, ...]:
    """The names that need no download."""
    return tuple(manifest())


def read_shipped(name: str) -> bytes:
    """One shipped text, checked against its sha256.

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
    text = lzma.decompress(packed)
    if hashlib.sha256(text).hexdigest() != entry["sha256"]:
        raise _damaged(entry["file"], "the sha256 of its text is not the one in MANIFEST.json")
    return text


def _damaged(file: str, why: str) -> InputError:
    return InputError(
        "NG703", f"the shipped text {file} can't be read: {why}", "install nestgraph again"
    )
