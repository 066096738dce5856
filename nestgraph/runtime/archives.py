"""What is known of a file of `torch.save` before and after it is unpacked: sizes and records.

Such a file is a zip archive whose records are stored as they are, so that what it unpacks to is
about as long as the file. Its records have check sums, which PyTorch's reader doesn't compare.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

import torch

from nestgraph.errors import InputError
from nestgraph.runtime.checksums import CHANGED, damaged, tensors_in

MAGIC = b"PK\x03\x04"
TIMES = 10  # what an honest file may unpack to, as a multiple of its own size,
FLOOR = 1 << 24  # and in bytes for a small one
CHUNK = 1 << 20
ANOTHER = "take another copy"


def require_records(file: Path, stream: BinaryIO, *, tensors: bool) -> None:
    """Compare the records of an archive with their check sums; other files pass.

    Args:
        file: for messages.
        stream: of the file; where it stands afterwards is left open.
        tensors: whether to compare the records of numbers, else only all others.

    Raises:
        InputError: a record isn't as it was written (NG715), or all of them unpack to many times
            the size of the file (NG716).
        zipfile.BadZipFile: the archive has no whole table of contents.
    """
    stream.seek(0)
    if stream.read(len(MAGIC)) != MAGIC:
        return
    with zipfile.ZipFile(stream) as archive:
        records = archive.infolist()
        _require_size(file, stream, sum(record.file_size for record in records))
        seen: set[str] = set()
        for record in records:
            if record.filename in seen:
                raise damaged(f"`{file}`", f"its record `{record.filename}` comes twice", ANOTHER)
            seen.add(record.filename)
            if tensors == ("/data/" in record.filename):
                _require_record(file, archive, record)


def require_claims(file: Path, stream: BinaryIO, content: object) -> None:
    """Make sure that no tensor says of itself to be far larger than the file that it comes from.

    Raises:
        InputError: some do (NG716): numbers that are told once may stand for many.
    """
    dense = (x for x in tensors_in(content) if x.layout == torch.strided)
    _require_size(file, stream, sum(x.numel() * x.element_size() for x in dense))


def _require_size(file: Path, stream: BinaryIO, unpacked: int) -> None:
    size = stream.seek(0, 2)
    if unpacked > max(TIMES * size, FLOOR):
        raise InputError(
            "NG716",
            f"`{file}` has {size:,} bytes and unpacks to {unpacked:,}: no checkpoint does that",
            f"{ANOTHER}, and ask where this one comes from",
        )


def _require_record(file: Path, archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    try:
        with archive.open(record) as stream:
            while stream.read(CHUNK):
                pass
    except Exception as error:  # a damaged header makes it raise whatever comes to it
        raise damaged(f"`{file}`", f"its record `{record.filename}` {CHANGED}", ANOTHER) from error
