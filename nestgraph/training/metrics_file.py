"""metrics.csv of a run: one row a step, exact numbers, continued where a run is resumed."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

from nestgraph.training.files import replace_file, unwritable

STEP = "step"
Row = dict[str, float | None]


class MetricsFile:
    """A growing table with the columns of its first row and those of validation.

    Args:
        path: the file; what it holds from before stays.
        columns: all columns, `step` first.
        after: rows of later steps belong to work that was lost, and go.
    """

    def __init__(self, path: Path, columns: Iterable[str], *, after: int) -> None:
        self._path = path
        self._columns = list(columns)
        replace_file(path, self._text([self._columns, *self._kept(after)]).encode())
        # Without a buffer: what a full disk refused isn't tried again when the file is closed.
        self._file: RawIOBase = path.open("ab", buffering=0)

    def write(self, row: Row) -> None:
        """Add a row; columns without a number stay empty.

        Raises:
            InputError: when the disk is full.
        """
        line = self._text([[_number(row.get(column)) for column in self._columns]]).encode()
        try:
            while line:
                line = line[self._file.write(line) or 0 :]
        except OSError as error:
            self._drop_half_a_row()
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        """End the table."""
        with contextlib.suppress(OSError):  # every row was written, or failed to be
            self._file.close()

    def _kept(self, after: int) -> list[list[str]]:
        if not self._path.is_file():
            return []
        text = self._path.read_bytes().decode("utf-8", errors="replace")
        return [
            [row.get(column, "") for column in self._columns]
            for row in whole_rows(text)
            if re.fullmatch("[0-9]{1,18}", row.get(STEP, "")) and int(row[STEP]) <= after
        ]

    def _drop_half_a_row(self) -> None:
        """End the file where its last whole row ends: half a number would read as another."""
        with contextlib.suppress(OSError):
            content = self._path.read_bytes()
            os.truncate(self._path, content.rfind(b"\n") + 1)

    def _text(self, rows: list[list[str]]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


def whole_rows(text: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table by its columns.

    One that was being written when the machine stopped is left out: half a number reads as
    another. A row that is damaged harms no other.
    """
    columns, *rows = [_fields(line) for line in text.split("\n")[:-1]] or [[]]
    yield from (dict(zip(columns, row, strict=False)) for row in rows)


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error:
        return []


def _number(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
